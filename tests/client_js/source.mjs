// One TocsinSource, for tests in any place: prints what happens as lines of JSON, and does what its input says.
// usage: RUNTIME source.mjs URL OPTIONS; input: {"publish": EVENT}, {"close": true}, a line each.
// OPTIONS are the source's, in JSON; `tokens` are given one after the other, the last one for ever.
import process from "node:process";
import { createInterface } from "node:readline";
import { TocsinSource } from "../../client/js/src/tocsin.js";

const [url, options] = process.argv.slice(-2);
const { tokens, ...given } = JSON.parse(options);
if (tokens) {
  given.token = async () => {
    const token = tokens.length > 1 ? tokens.shift() : tokens[0];
    if (token === "fails") throw new Error("the login is over");
    return token === "none" ? null : token;
  };
}
const TYPES = ["connection", "gap", "end", "message", "notification", "alert"];

const print = (line) => console.log(JSON.stringify(line));
const source = new TocsinSource(url, given);
for (const type of TYPES) {
  source.addEventListener(type, ({ type, data, lastEventId, origin }) => print({ type, data, lastEventId, origin }));
}
source.onopen = () => print({ is: "open", readyState: source.readyState });
source.onerror = () => print({ is: "error", readyState: source.readyState });
source.addEventListener("tocsin:state", ({ detail }) => print({ is: "state", ...detail }));

const input = createInterface({ input: process.stdin });
input.on("line", async (line) => {
  const { publish, retry } = JSON.parse(line);
  if (retry) return source.retry();
  if (!publish) {
    source.close();
    print({ is: "closed", readyState: source.readyState });
    input.close();
    return process.stdin.destroy(); // nothing is left that would keep the process
  }
  await source.publish(publish).then(
    (answer) => print({ is: "published", answer }),
    ({ name, status, code, message }) => print({ is: "failed", name, status, code, message }),
  );
});
