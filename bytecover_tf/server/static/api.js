// Asking the server.

/** An answer that says what was wrong. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server cannot be reached.");
  }
  if (response.ok) return response;
  let text = `The server answered ${response.status}.`;
  try {
    text = (await response.json()).error ?? text;
  } catch {
    // No words, then.
  }
  // Whoever asks for the token says what was wrong with it.
  if (response.status === 401 && path !== "api/session") dispatchEvent(new Event("locked"));
  throw new Refused(response.status, text);
}

/** Return what a GET request answers. */
export async function get(path, options = {}) {
  return (await send(path, options)).json();
}

/** Return that of some jobs that waits or runs, of a kind and perhaps of a name. */
export function atWork(jobs, kind, name) {
  const isIt = (job) => job.kind === kind && (name === undefined || job.name === name);
  return jobs.find((job) => isIt(job) && (job.state === "waiting" || job.state === "running"));
}

/** Send JSON; return what is answered, if anything is. */
export async function post(path, value = {}) {
  const response = await send(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(value),
  });
  return response.status === 204 ? null : response.json();
}

/** Ask for something to be removed or ended, even while the page is being left. */
export async function remove(path) {
  await send(path, { method: "DELETE", keepalive: true });
}

function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) form.append(name, value, value.name ?? "recording");
    else form.append(name, value);
  }
  return form;
}

/** Send a form; return what is answered. `signal` ends it. */
export async function postForm(path, fields, signal) {
  return (await send(path, { method: "POST", body: formOf(fields), signal })).json();
}

/** Return why a recording cannot be played. */
export async function whySilent(url) {
  try {
    const response = await send(url, { headers: { Range: "bytes=0-0" } });
    await response.body?.cancel();
  } catch (error) {
    return error.message;
  }
  return "Your browser cannot play this format.";
}

/**
 * Send a form and follow what is answered line by line.
 *
 * @param {string} path
 * @param {object} fields - text or files by name.
 * @param {function(object)} onLine - called with each line but the last.
 * @param {AbortSignal} signal - ends it.
 * @returns the last line.
 */
export async function follow(path, fields, onLine, signal) {
  const response = await send(path, {
    method: "POST",
    body: formOf(fields),
    headers: { Accept: "application/x-ndjson" },
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Refused(0, "The server ended the answer too early.");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const said = JSON.parse(line);
      if (said.stage === "failed") throw new Refused(422, said.error);
      if (said.stage === "done") return said;
      onLine(said);
    }
  }
}

// How often a job may be asked after in vain, and what is said by a server that is busy
// or a proxy whose server is away.
const TRIES = 40;
const BUSY = [0, 429, 502, 503, 504];

/**
 * Follow a job until it has ended.
 *
 * A server that is out of reach for a moment does not end that.
 *
 * @returns the job, with its result.
 */
export async function watch(job, onProgress, signal) {
  let now = job;
  let failures = 0;
  while (now.state === "waiting" || now.state === "running") {
    onProgress(now);
    await new Promise((resolve) => setTimeout(resolve, 700));
    signal?.throwIfAborted();
    try {
      now = await get(`api/jobs/${job.id}`, { signal });
      failures = 0;
    } catch (error) {
      failures += 1;
      if (!BUSY.includes(error.status) || failures === TRIES) throw error;
    }
  }
  if (now.state === "failed") throw new Refused(422, now.error);
  if (now.state === "cancelled") throw new Refused(0, "Cancelled.");
  return now;
}
