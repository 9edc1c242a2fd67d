// The shared worker: one channel, and each tab's port to it. Its name holds the address of the stream,
// so another stream is another worker.

import { Channel } from "./channel.js";

const scope = /** @type {SharedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const channel = new Channel(true);
scope.onconnect = (/** @type {MessageEvent} */ { ports }) => channel.serve(ports[0]);
