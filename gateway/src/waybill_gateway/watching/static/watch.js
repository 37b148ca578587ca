// Follows one task of Waybill by the link in its answer (`links.watch`); needs no key and no library.
//
//   import { watch } from "https://waybill.example.com/v1/watch.js";
//   const task = await watch(link, { onChange: (task) => show(task.state, task.progress) });
//
// `link` is an absolute address, or a path of the gateway that this file comes from.
// Resolves with the task once it is completed, failed or cancelled. Rejects with a `WatchError` if the link
// has expired or is none, and with the signal's reason if `signal` is aborted.

const ENDED = new Set(["completed", "failed", "cancelled"]);
// Seconds: of one call that waits, and at most before the next try after a failure.
const WAIT = 30;
const LONGEST_PAUSE = 30;

export class WatchError extends Error {
  constructor(problem, status) {
    super(problem.detail ?? `The gateway answered ${status}.`);
    this.name = "WatchError";
    this.status = status;
    this.code = (problem.type ?? "").replace("urn:waybill:problem:", "");
  }
}

export function watch(link, { onChange = () => {}, signal } = {}) {
  const address = new URL(link, import.meta.url).href;
  const changed = whenDifferent(onChange);
  // Without events a proxy on the way may still let calls through that wait.
  return streamed(address, changed, signal).catch((error) => {
    if (signal?.aborted || error instanceof WatchError) throw error;
    return polled(address, changed, signal);
  });
}

function whenDifferent(onChange) {
  let shown;
  return (task) => {
    const text = JSON.stringify(task);
    const differs = text !== shown;
    // Before the call: what the application raises is not to come again with each answer.
    shown = text;
    if (differs) onChange(task);
    return task;
  };
}

function streamed(address, changed, signal) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`${address}/events`);
    const leave = (settle, value) => {
      source.close();
      signal?.removeEventListener("abort", abort);
      settle(value);
    };
    const abort = () => leave(reject, signal.reason);
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort);
    source.onmessage = (event) => changed(JSON.parse(event.data));
    source.addEventListener("end", (event) => {
      const task = JSON.parse(event.data);
      leave(resolve, task);
      changed(task);
    });
    // A connection that was lost is made again by the browser; one that was refused is not.
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) leave(reject, new Error("There is no stream."));
    };
  });
}

async function polled(address, changed, signal) {
  let pause = 1;
  let wait = WAIT;
  for (;;) {
    let answer;
    let task;
    try {
      answer = await fetch(`${address}?wait=${wait}`, { signal, cache: "no-store" });
      if (answer.ok) task = await answer.json();
    } catch (error) {
      if (signal?.aborted) throw error;
    }
    if (task) {
      changed(task);
      if (ENDED.has(task.state)) return task;
      pause = 1;
      if (wait) continue;
    }
    if (answer && !answer.ok && answer.status < 500 && answer.status !== 429) {
      throw new WatchError(await answer.json().catch(() => ({})), answer.status);
    }
    // Perhaps too many wait already.
    wait = answer?.ok ? WAIT : 0;
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}
