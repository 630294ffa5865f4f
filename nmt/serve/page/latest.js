/* ---- requests of which only the newest counts ---- */

/* Runs tasks after a pause. A newer one aborts the older, whose answer is dropped. */
export class Latest {
  constructor(pause) { this.pause = pause; }

  /* Run `task(signal)`, then `done(result)`; errors go to `failed(error)`, unless a newer task was begun. */
  run(task, done, failed, pause = this.pause) {
    this.stop();
    const controller = this.controller = new AbortController(), { signal } = controller;
    this.timer = setTimeout(async () => {
      try {
        const result = await task(signal);
        if (!signal.aborted) done(result);
      } catch (error) {
        if (!signal.aborted) failed(error);
      }
    }, pause);
  }

  stop() {
    clearTimeout(this.timer);
    this.controller?.abort();
  }
}
