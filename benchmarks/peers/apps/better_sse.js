// better-sse as its guide shows it: sessions registered with one channel, which broadcasts.
// usage: node better_sse.js PORT
const express = require("express");
const { createChannel, createSession } = require("better-sse");

const app = express();
const channel = createChannel();

app.use(express.json());

app.get("/events", async (req, res) => {
  channel.register(await createSession(req, res));
});

app.post("/api/notify", (req, res) => {
  const { type, message, data = {} } = req.body;
  if (!type || !message) return res.status(400).json({ error: "type and message are required" });
  channel.broadcast({ message, data, timestamp: new Date().toISOString(), source: "api" }, type);
  return res.json({ success: true, sentTo: channel.sessionCount, event: type });
});

app.listen(Number(process.argv[2]), "127.0.0.1", 4096);
