// What the client has for others.

export { Channel } from "./channel.js";
export { NO_STATE, openLink } from "./link.js";
