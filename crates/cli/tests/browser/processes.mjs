// Programs that run beside the browser, and end with it.

import { spawn } from "node:child_process";

const all = [];
process.on("exit", () => all.forEach((child) => child.kill("SIGKILL")));

/** Starts a program and waits until it says something like `sign`; what it said then. */
export function start(program, words, sign) {
  const child = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"] });
  all.push(child);
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (data) => {
      text += data;
      const found = text.match(sign);
      if (found) resolve({ child, said: found[0] });
    });
    child.on("exit", (code) => reject(new Error(`${program} ended with ${code}`)));
  });
}

/** Ctrl-C. */
export function end({ child }) {
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGINT");
  return ended;
}
