// The numbers: what this page received, and who is connected.

/** @import { Component } from "./view.js" */
import { find, setText } from "./dom.js";
import { wholeNumber } from "./formats.js";

/** @param {HTMLElement} root @returns {Component} */
export function mountNumbers(root) {
  const received = find(root, "[data-number=received]");
  const clients = find(root, "[data-number=clients]");
  const client = find(root, "[data-number=client]");

  return {
    update({ feed, stream, language }) {
      // Without a stream nobody tells how many there are; an old number would be a lie.
      const known = stream.phase === "live";
      setText(received, wholeNumber(feed.received, language));
      setText(clients, wholeNumber(known ? feed.clients : null, language));
      setText(client, wholeNumber(known ? feed.client : null, language));
    },
  };
}
