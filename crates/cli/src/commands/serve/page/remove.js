// Removing a segment: asked before, and told after.

import { $, text } from "./dom.js";
import { bytes, many } from "./format.js";
import { headers } from "./stream.js";

let isAllowed = false;
let meant = null;

export const allowRemoval = (allowed) => { isAllowed = allowed; };
export const isRemovalAllowed = () => isAllowed;

export function askRemoval(segment) {
  meant = segment;
  const isUsed = segment.attachment_count > 0;
  text($("dialog-title"), `Remove ${segment.title}?`);
  const used = isUsed ? `${many(segment.attachment_count, "attachment")} now` : "nobody is attached";
  text($("dialog-text"), `Id ${segment.id}, key ${segment.key_hex}, ${bytes(segment.size_bytes)}, ${used}. Its contents cannot be had back. It is looked at once more before it goes.`);
  $("dialog-force").hidden = !isUsed;
  $("force").checked = false;
  text($("dialog-answer"), "");
  text($("dialog-close"), "Keep it");
  $("dialog-remove").hidden = false;
  enable();
  $("dialog").showModal();
  $("dialog-close").focus();
}

function enable() {
  $("dialog-remove").disabled = !$("dialog-force").hidden && !$("force").checked;
}

async function remove() {
  const { id, key, size_bytes, creator_pid, change_time } = meant;
  const wish = { id, key, size_bytes, creator_pid, change_time, force: $("force").checked };
  $("dialog-remove").disabled = true;
  let words;
  try {
    const response = await fetch("/api/remove", {
      method: "POST",
      headers: headers({ "Content-Type": "application/json" }),
      body: JSON.stringify(wish),
    });
    const answer = await response.text();
    words = response.headers.get("content-type") === "application/json" ? told(JSON.parse(answer)) : answer;
  } catch (error) {
    words = `not removed, as far as is known: ${error.message}`;
  }
  text($("dialog-answer"), words);
  text($("dialog-close"), "Close");
  $("dialog-remove").hidden = true;
  $("dialog-force").hidden = true;
  $("dialog-close").focus();
}

function told({ result, error }) {
  if (error) return `Not removed. ${error}`;
  if (result.destroyed) return "Removed.";
  return "Removed: its key is free; its memory goes with the last attachment.";
}

$("force").addEventListener("change", enable);
$("dialog-remove").addEventListener("click", remove);
$("dialog-close").addEventListener("click", () => $("dialog").close());
