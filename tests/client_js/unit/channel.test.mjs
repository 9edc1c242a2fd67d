import assert from "node:assert/strict";
import { test } from "node:test";
import { Channel } from "../../../client/js/src/channel.js";
import { World, eventOf } from "./world.mjs";

const FIRST = 'event: connection\ndata: {"id": 1, "clients": 1, "missed": 0, "replayed": 0}\nid: 5-0\n\n';

/** A channel, the world around it, and its tabs as the other ends of their ports. */
class Stage extends World {
  constructor() {
    super();
    this.channel = new Channel(false, this.outside);
  }

  tab(attach) {
    const tab = { reports: [], seat: {} };
    const port = { postMessage: (report) => tab.reports.push(structuredClone(report)) };
    this.channel.serve(port);
    tab.say = (command) => port.onmessage({ data: command });
    tab.attach = (more) =>
      tab.say({ do: "attach", url: "http://hub/events", fresh: true, first: "", last: "", connect: true, ...more });
    tab.batches = () => tab.reports.filter(({ tell }) => tell === "batch").map(({ delivery }) => delivery);
    tab.ids = () => tab.batches().flatMap(({ events }) => events.filter(({ type }) => type === "note").map(({ id }) => id));
    tab.state = () => tab.reports.findLast(({ tell }) => tell === "state").state;
    if (attach) tab.attach(attach);
    return tab;
  }

  async brings(text) {
    await this.act("send", text);
    await this.pass(60);
  }
}

/** A stage with one tab, live. */
async function live() {
  const stage = new Stage();
  const tab = stage.tab({});
  await stage.act("accept");
  await stage.brings(FIRST);
  tab.say({ do: "took" });
  return { stage, tab };
}

test("a tab that attaches is greeted, opens the stream and is told its state", async () => {
  const { stage, tab } = await live();
  assert.equal(tab.reports[0].tell, "hello");
  assert.deepEqual([tab.state().phase, tab.state().tabs, tab.state().shared], ["live", 1, false]);
  assert.equal(stage.requests.length, 1);
});

test("a second tab opens no second stream", async () => {
  const { stage } = await live();
  const second = stage.tab({});
  assert.equal(stage.requests.length, 1);
  assert.deepEqual([second.state().phase, second.state().tabs], ["live", 2]);
});

test("a tab that attaches without a wish to connect leaves a stopped stream stopped", () => {
  const stage = new Stage();
  stage.tab({ connect: false });
  assert.equal(stage.requests.length, 0);
});

test("what one tab does to the stream, all tabs are told", async () => {
  const { stage, tab } = await live();
  const second = stage.tab({});
  second.say({ do: "disconnect" });
  assert.deepEqual([tab.state().phase, second.state().phase], ["stopped", "stopped"]);
  tab.say({ do: "connect" });
  assert.deepEqual([tab.state().phase, second.state().phase], ["connecting", "connecting"]);
});

test("events that arrive within 50 ms are one batch, and the first after a pause is not kept waiting", async () => {
  const { stage, tab } = await live();
  await stage.pass(1_000);
  const before = tab.batches().length;
  await stage.act("send", eventOf("5-1"));
  await stage.pass(0);
  assert.equal(tab.batches().length, before + 1);
  tab.say({ do: "took" });
  for (const id of ["5-2", "5-3", "5-4"]) await stage.act("send", eventOf(id));
  await stage.pass(49);
  assert.equal(tab.batches().length, before + 1);
  await stage.pass(1);
  assert.deepEqual(tab.batches().at(-1).events.map(({ id }) => id), ["5-2", "5-3", "5-4"]);
});

test("a clock that is set back delays no batch", async () => {
  const { stage, tab } = await live();
  stage.time -= 3_600_000;
  for (const timer of stage.timers) timer.at -= 3_600_000;
  await stage.act("send", eventOf("5-1"));
  await stage.pass(50);
  assert.deepEqual(tab.ids(), ["5-1"]);
});

test("a tab that takes nothing is sent one batch, and hinders no other", async () => {
  const { stage, tab: frozen } = await live();
  const other = stage.tab({});
  for (let seq = 1; seq <= 5; seq += 1) {
    await stage.brings(eventOf(`5-${seq}`));
    other.say({ do: "took" });
  }
  assert.deepEqual([frozen.ids(), other.ids().length], [["5-1"], 5]);
  frozen.say({ do: "took" });
  await stage.pass(60);
  assert.deepEqual(frozen.ids(), ["5-1", "5-2", "5-3", "5-4", "5-5"]);
});

test("events bear the client number of their stream, and whether they are replayed", async () => {
  const { stage, tab } = await live();
  await stage.brings(eventOf("5-1"));
  tab.say({ do: "took" });
  await stage.act("cut");
  await stage.pass(3_000);
  await stage.act("accept");
  const again = 'event: connection\ndata: {"id": 7, "missed": 0, "replayed": 1}\nid: 5-1\n\n';
  await stage.brings(again + eventOf("5-2") + eventOf("5-3"));
  const notes = tab.batches().flatMap(({ events }) => events.filter(({ type }) => type === "note"));
  assert.deepEqual(notes.map(({ client, replayed }) => [client, replayed]), [
    [1, false],
    [7, true],
    [7, false],
  ]);
});

test("a reloaded tab without a worker has the log read from the oldest event that it showed", () => {
  const stage = new Stage();
  stage.tab({ first: "5-2", last: "5-9" });
  assert.equal(stage.last.headers["Last-Event-ID"], "5-2");
});

test("a tab that lost its worker has the log read from the last event that it took", () => {
  const stage = new Stage();
  stage.tab({ fresh: false, first: "5-2", last: "5-9" });
  assert.equal(stage.last.headers["Last-Event-ID"], "5-9");
});

test("a tab that has less than the one that began the stream has it read from further back", async () => {
  const stage = new Stage();
  stage.tab({ fresh: false, last: "5-9" });
  await stage.act("accept");
  await stage.brings('event: connection\ndata: {"missed": 0}\nid: 5-9\n\n' + eventOf("5-10"));
  const behind = stage.tab({ fresh: false, last: "5-7" });
  assert.equal(stage.last.headers["Last-Event-ID"], "5-7");
  await stage.act("accept");
  await stage.brings('event: connection\ndata: {"missed": 0}\nid: 5-7\n\n' + eventOf("5-8") + eventOf("5-9"));
  assert.deepEqual(behind.ids(), ["5-8", "5-9"]);
});

test("a tab that leaves is no longer counted; one that wakes up again is", async () => {
  const { stage, tab } = await live();
  const second = stage.tab({});
  second.say({ do: "leave" });
  assert.equal(tab.state().tabs, 1);
  second.say({ do: "ping" });
  assert.equal(tab.state().tabs, 2);
  assert.equal(second.reports.at(-1).tell, "pong");
});

test("a tab that is silent for minutes is taken for gone", async () => {
  const stage = new Stage();
  stage.channel = new Channel(true, stage.outside);
  const tab = stage.tab({});
  const gone = stage.tab({});
  for (let minute = 0; minute < 4; minute += 1) {
    await stage.pass(60_000);
    tab.say({ do: "ping" });
  }
  assert.equal(tab.state().tabs, 1);
  assert.equal(gone.reports.some(({ tell }) => tell === "pong"), false);
});

test("the counts say what is kept and what was let go", async () => {
  const { stage, tab } = await live();
  await stage.brings(eventOf("5-1") + eventOf("5-2"));
  const { counts } = tab.reports.findLast(({ tell }) => tell === "batch");
  assert.deepEqual([counts.received, counts.kept, counts.dropped, counts.floor], [2, 3, 0, "5-0"]);
  assert.ok(counts.keptBytes > 0);
});

test("presence is told, newest only, and kept from the log", async () => {
  const { stage, tab } = await live();
  await stage.brings("event: presence\ndata: 1\n\nevent: presence\ndata: 2\n\n");
  assert.deepEqual(tab.batches().at(-1).events.map(({ type, data }) => [type, data]), [["presence", "2"]]);
  assert.equal(stage.channel.store.end, 1);
});

test("a stream that nobody is shown is closed soon, and opened for who comes after that", async () => {
  const { stage, tab } = await live();
  tab.say({ do: "leave" });
  await stage.pass(9_000);
  assert.equal(stage.channel.stream.state.phase, "live");
  await stage.pass(2_000);
  assert.equal(stage.channel.stream.state.phase, "stopped");
  tab.say({ do: "ping" });
  assert.deepEqual([stage.requests.length, tab.state().phase], [2, "connecting"]);
});

test("a stream that somebody stopped stays so for who comes later", async () => {
  const { stage, tab } = await live();
  tab.say({ do: "disconnect" });
  tab.say({ do: "leave" });
  await stage.pass(11_000);
  tab.say({ do: "ping" });
  assert.deepEqual([stage.requests.length, tab.state().phase], [1, "stopped"]);
});

const onTopic = (id, topic) => `event: note\ndata: {"topic": "${topic}"}\nid: ${id}\n\n`;

for (const [recent, ids] of [
  [{ last: 2 }, ["5-3", "5-4"]],
  [{ lastPerTopic: 1 }, ["5-2", "5-4"]],
  [{ lastPerTopic: 2 }, ["5-2", "5-3", "5-4"]],
]) {
  test(`a tab that joins and wants ${JSON.stringify(recent)} gets that first, and then the news`, async () => {
    const { stage } = await live();
    await stage.brings(onTopic("5-1", "a") + onTopic("5-2", "b") + onTopic("5-3", "a") + onTopic("5-4", "a"));
    const tab = stage.tab({ fresh: false, recent });
    await stage.pass(60);
    tab.say({ do: "took" });
    await stage.pass(60);
    tab.say({ do: "took" });
    await stage.brings(onTopic("5-5", "b"));
    assert.deepEqual(tab.ids(), [...ids, "5-5"]);
    const welcomes = tab.batches().flatMap(({ events }) => events.filter(({ type }) => type === "connection"));
    assert.equal(welcomes.length, 1);
  });
}

test("an event of several topics is recent where it is one of the newest of any of them", async () => {
  const { stage } = await live();
  await stage.brings('event: note\ndata: {"topic": "a", "topics": ["a", "b"]}\nid: 5-1\n\n' + onTopic("5-2", "a"));
  const tab = stage.tab({ fresh: false, recent: { lastPerTopic: 1 } });
  await stage.pass(60);
  assert.deepEqual(tab.ids(), ["5-1", "5-2"]);
});

test("a tab is refused what the stream may never have had", async () => {
  const stage = new Stage();
  stage.tab({ last: "5-7" }); // it resumed: what was before that did not come
  await stage.act("accept");
  const tab = stage.tab({ fresh: false, recent: { last: 2 } });
  assert.deepEqual(tab.reports, [{ tell: "refuse" }]);
});
