// The shared worker: one channel, and each tab's port to it. Its name holds the address of the stream,
// so another stream is another worker. It is made of the file that the page has already.

import { Channel } from "./tocsin.js";

const scope = /** @type {{onconnect: (event: MessageEvent) => void}} */ (/** @type {unknown} */ (self));
const channel = new Channel(true);
scope.onconnect = (/** @type {MessageEvent} */ { ports }) => channel.serve(ports[0]);
