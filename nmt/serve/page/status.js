/* ---- the state of the server, in words ---- */

import { say } from "../figures/language.js";
import { find } from "./texts.js";

const PATIENCE = 2, NOTICED = 0.6;  /* seconds: until a server that is gone is asked again, until work is mentioned */

/* One line of text; after an error of which a later try may have none, `again()` is called. */
export class Status {
  constructor(again) {
    this.again = again;
    this.write = () => "";
  }

  /* Show what `write()` returns, in any language of the page. */
  set(write, kind = "") {
    clearTimeout(this.timer);
    this.write = write;
    find("status").dataset.kind = kind;
    this.say();
  }

  say() {
    const text = this.write();
    if (find("status").textContent !== text) find("status").textContent = text;
  }

  clear() { this.set(() => ""); }

  /* The work that is mentioned is not waited for any more; what is wrong still is. */
  settle() { if (find("status").dataset.kind !== "wrong") this.clear(); }

  working() {
    this.clear();
    this.timer = setTimeout(() => this.set(() => say("Translating …")), 1000 * NOTICED);
  }

  nothing() { this.set(() => say("No model is loaded: start the server with one, nmt serve RUN"), "wrong"); }
  long(count, most) { this.set(() => say("The text is too long: {count} of {most} characters", { count: count.toLocaleString(), most: most.toLocaleString() }), "wrong"); }

  /* Report an error; try `again` later if that may help. */
  failed(error, again = this.again) {
    if (error.kind === "busy") this.wait(Math.ceil(error.seconds), again);
    else if (error.kind === "gone") {
      this.set(() => say("The server does not answer; trying again …"), "wrong");
      this.timer = setTimeout(this.again, 1000 * PATIENCE);
    } else if (error.kind === "key") {
      find("key").hidden = false;
      this.set(() => say("The server asks for a key"), "wrong");
    } else this.set(() => error.kind === "long" ? say("The text is too long: {reason}", { reason: error.message }) : error.message || say("The server could not translate this"), "wrong");
  }

  wait(seconds, again) {
    if (seconds <= 0) return again();
    this.set(() => say("The server is busy; trying again in {seconds} s", { seconds }), "wrong");
    this.timer = setTimeout(() => this.wait(seconds - 1, again), 1000);
  }
}
