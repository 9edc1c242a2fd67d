import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";

const FRONTEND = new URL("../../../frontend/", import.meta.url);
const SINKS =
  /innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|DOMParser|createContextualFragment|srcdoc|\beval\b|new Function|javascript:/;

test("no script holds a way to turn text into markup or code", async () => {
  for (const folder of [new URL("js/", FRONTEND), new URL("client/v1/", FRONTEND)]) {
    const names = await readdir(folder, { recursive: true });
    for (const name of names.filter((each) => each.endsWith(".js"))) {
      assert.doesNotMatch(await readFile(new URL(name, folder), "utf8"), SINKS, name);
    }
  }
});

test("the page holds no inline script, style or handler, and loads nothing from elsewhere", async () => {
  const page = await readFile(new URL("index.html", FRONTEND), "utf8");
  assert.doesNotMatch(page, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|https?:|(src|href)="\/\//);
});
