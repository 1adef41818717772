// Choosing a recording: drop a file, pick one, or record from the microphone.

import { clock, icon, make, notice } from "./dom.js";

/**
 * Return a place where a recording is chosen.
 *
 * @param {object} words - `title` and `text` to show.
 * @param {function(File[])} onFiles - called with what is chosen.
 * @param {object} limits - `most` files at once; `canRecord`, whether to offer the
 *   microphone.
 */
export function chooser({ title, text }, onFiles, { most, canRecord }) {
  const bars = make("div.bars", { "aria-hidden": "true" }, ...Array.from({ length: 13 }, () => make("i")));
  const input = make("input.hidden", {
    type: "file",
    multiple: most > 1,
    accept: "audio/*,video/*,.opus,.flac,.m4a,.wma,.ape,.wv,.mka",
    "aria-label": "Recording",
    on: {
      change() {
        if (input.files.length) take([...input.files]);
        input.value = "";
      },
    },
  });
  const choose = make("button.main", { type: "button", on: { click: () => input.click() } }, icon("file"), "Choose a file");
  const record = canRecord ? recordButton(onFiles, bars) : null;
  const heading = make("h1", {}, title);
  const place = make("section.drop", {}, bars, heading, make("p.soft", {}, text), make("div.row", {}, choose, record, input));

  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    place.classList.add("over");
  };
  const out = (event) => {
    if (!event.relatedTarget) place.classList.remove("over");
  };
  const drop = (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    place.classList.remove("over");
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  };
  async function take(files) {
    if (files.length > most) {
      notice(most === 1 ? "One recording at a time." : `At most ${most} recordings at a time.`);
      return;
    }
    for (const file of files) {
      try {
        await file.slice(0, 1).arrayBuffer();
      } catch {
        notice(`“${file.name}” cannot be read; expected a recording, not a folder.`);
        return;
      }
    }
    if (place.isConnected) onFiles(files);
  }
  // Anywhere on the page.
  const listeners = { dragover: over, dragleave: out, drop };
  for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener);
  return {
    element: place,
    shrink() {
      place.classList.add("slim");
      heading.textContent = "Another one?";
    },
    close() {
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener);
      record?.stop();
    },
  };
}

/** Return a button that records from the microphone until it is pressed again. */
function recordButton(onFiles, bars) {
  let recorder = null;
  let isStarting = false;
  const button = make("button", { type: "button", on: { click: () => (recorder ? recorder.stop() : begin()) } });
  const label = (...content) => button.replaceChildren(...content);
  const idle = () => label(icon("microphone"), "Record");

  async function begin() {
    if (isStarting) return;
    isStarting = true;
    let stream;
    try {
      // What makes speech clearer harms music.
      const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      const reason = navigator.mediaDevices ? error.message : "a browser lends it only to https and to this machine";
      notice(`No microphone: ${reason}`);
      return;
    } finally {
      isStarting = false;
    }
    const silence = () => stream.getTracks().forEach((track) => track.stop());
    // The view may have been left before the browser was allowed to listen.
    if (!button.isConnected) {
      silence();
      return;
    }
    const parts = [];
    const started = Date.now();
    const tick = () => label(icon("stop"), `Stop ${clock((Date.now() - started) / 1000)}`);
    recorder = new MediaRecorder(stream);
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.addEventListener("stop", () => {
      clearInterval(timer);
      silence();
      bars.classList.remove("live");
      const kind = recorder.mimeType;
      recorder = null;
      idle();
      const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      if (button.isConnected) onFiles([new File(parts, `Recorded at ${time}`, { type: kind })]);
    });
    recorder.start();
    bars.classList.add("live");
    tick();
    const timer = setInterval(tick, 500);
  }

  button.stop = () => recorder?.stop();
  idle();
  return button;
}
