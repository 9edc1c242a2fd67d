// The fan-out of the workshop that the hub grew out of: one res.write() per client and event.
// The block is made once for all of them. usage: node express.js PORT
const express = require("express");

const app = express();
const clients = new Map();
let lastNumber = 0;

app.use(express.json());

app.get("/events", (req, res) => {
  const number = ++lastNumber;
  res.writeHead(200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    Connection: "keep-alive",
    "Access-Control-Allow-Origin": "*",
  });
  clients.set(number, res);
  const welcome = { id: number, timestamp: new Date().toISOString(), clients: clients.size };
  res.write(`event: connection\ndata: ${JSON.stringify(welcome)}\n\n`);
  req.on("close", () => clients.delete(number));
});

app.post("/api/notify", (req, res) => {
  const { type, message, data = {} } = req.body;
  if (!type || !message) return res.status(400).json({ error: "type and message are required" });
  const payload = { message, data, timestamp: new Date().toISOString(), source: "api" };
  const block = `event: ${type}\ndata: ${JSON.stringify(payload)}\n\n`;
  for (const client of clients.values()) client.write(block);
  return res.json({ success: true, sentTo: clients.size, event: type });
});

app.listen(Number(process.argv[2]), "127.0.0.1", 4096);
