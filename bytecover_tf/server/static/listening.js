// Listening to two recordings side by side, at the places that match.

import WaveSurfer from "./vendor/wavesurfer.js";
import { get, whySilent } from "./api.js";
import { clock, colour, icon, isForPage, make } from "./dom.js";
import { drawPicture } from "./picture.js";

const NONCE = document.querySelector('meta[name="csp-nonce"]').content;

// Larger files are not decoded for their waveform.
const MOST_BYTES = 80e6;
const outlines = new WeakMap();

/** A recording of the catalogue, as something to listen to. */
export function catalogued(recording) {
  return {
    label: recording.label,
    duration: recording.duration,
    url: `api/recordings/${recording.id}/audio`,
    peaks: (signal) => get(`api/recordings/${recording.id}/peaks`, { signal }),
  };
}

/** A file of the browser, as something to listen to. */
export function local(file, duration) {
  return { label: file.name, duration, url: URL.createObjectURL(file), peaks: () => outline(file) };
}

async function outline(file) {
  if (file.size > MOST_BYTES) return null;
  if (!outlines.has(file)) outlines.set(file, measure(file));
  return outlines.get(file);
}

async function measure(file) {
  const context = new OfflineAudioContext(1, 1, 8000);
  const sound = await context.decodeAudioData(await file.arrayBuffer());
  const samples = sound.getChannelData(0);
  const step = Math.max(Math.floor(samples.length / 1200), 1);
  const peaks = [];
  for (let start = 0; start < samples.length; start += step) {
    let peak = 0;
    for (let place = start; place < Math.min(start + step, samples.length); place += 4) {
      peak = Math.max(peak, Math.abs(samples[place]));
    }
    peaks.push(peak);
  }
  const most = Math.max(...peaks, 1e-9);
  return peaks.map((peak) => peak / most);
}

/** One of the two recordings: its waveform, and the stretch that matches. */
class Deck {
  constructor(letter, source, stretch, owner) {
    this.source = source;
    this.stretch = stretch;
    this.isSecond = letter === "B";
    this.head = make("span.head");
    this.wave = make("div.wave");
    this.time = make("span.number.soft.small");
    this.element = make(
      `div.deck${this.isSecond ? ".second" : ""}`,
      {},
      make(
        "div.row",
        {},
        make("span.letter", {}, letter),
        make("span.cut.grow", { title: source.label }, source.label),
        this.time,
      ),
      this.wave,
    );
    this.media = make("audio", { preload: "metadata" });
    this.media.src = source.url;
    this.media.addEventListener("error", async () => {
      this.time.textContent = await whySilent(source.url);
    });
    this.media.addEventListener("timeupdate", () => owner.moved(this));
    this.media.addEventListener("ended", () => owner.pause());
    // A key of the keyboard may do that, or headphones that are pulled out.
    for (const name of ["play", "pause"]) this.media.addEventListener(name, () => owner.refresh());
    this.draw(owner);
  }

  async draw(owner) {
    const peaks = await this.source.peaks(owner.leaving.signal).catch(() => null);
    if (!this.wave.isConnected) await new Promise(requestAnimationFrame);
    if (owner.leaving.signal.aborted) return;
    this.surfer = WaveSurfer.create({
      container: this.wave,
      media: this.media,
      // In full, or it is taken for another one, and loaded anew from the start.
      url: this.media.src,
      peaks: [peaks ?? new Float32Array(2)],
      duration: this.source.duration,
      height: 62,
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      cursorWidth: 0,
      ...this.colours,
      cspNonce: NONCE,
    });
    this.surfer.on("interaction", (seconds) => owner.seek(this, seconds));
    const [start, end] = this.stretch;
    if (end > start) {
      this.wave.append(
        make("span.stretch", {
          style: { left: this.share(start), width: `${(100 * (end - start)) / this.source.duration}%` },
        }),
      );
    }
    this.wave.append(this.head);
  }

  get colours() {
    return {
      waveColor: colour(this.isSecond ? "--wave-second" : "--wave"),
      progressColor: colour(this.isSecond ? "--second" : "--accent"),
    };
  }

  share(seconds) {
    return `${Math.min(Math.max((100 * seconds) / this.source.duration, 0), 100)}%`;
  }

  show(seconds) {
    this.head.style.left = this.share(seconds);
    if (!this.media.error) this.time.textContent = `${clock(seconds)} / ${clock(this.source.duration)}`;
  }
}

let current = null;

/** Two recordings side by side. One is heard at a time, and one can switch at any moment. */
export class Listening {
  /**
   * @param {object} first - what `catalogued` or `local` returns.
   * @param {object} second
   * @param {object} match - `query_start` and the other places that match.
   * @param {?function(AbortSignal): Promise<object>} picture - asks the server for their
   *   picture; null for none.
   */
  constructor(first, second, match, picture) {
    current?.close();
    current = this;
    this.leaving = new AbortController();
    this.path = [];
    this.decks = [
      new Deck("A", first, [match.query_start, match.query_end], this),
      new Deck("B", second, [match.recording_start, match.recording_end], this),
    ];
    this.places = [match.query_start, match.recording_start];
    this.ends = [match.query_end, match.recording_end];
    this.active = this.decks[0];
    this.playButton = make("button.main", { type: "button", on: { click: () => this.toggle() } });
    this.switchButton = make("button", { type: "button", on: { click: () => this.switch() } });
    this.pictureSide = make("div.picture", {}, make("p.soft.small", {}, "Drawing …"));
    this.element = make(
      "div.listen",
      {},
      make(
        "div.decks",
        {},
        this.decks[0].element,
        this.decks[1].element,
        make(
          "div.transport",
          {},
          this.playButton,
          this.switchButton,
          make("button.quiet", { type: "button", on: { click: () => this.restart() } }, "From the start of the match"),
        ),
        make("p.keys", {}, key("Space", "play"), key("X", "switch between A and B"), key("← →", "5 seconds")),
      ),
      this.pictureSide,
    );
    this.onKey = (event) => this.key(event);
    this.onTheme = () => this.decks.forEach((deck) => deck.surfer?.setOptions(deck.colours));
    addEventListener("keydown", this.onKey);
    addEventListener("themechange", this.onTheme);
    this.seek(this.active, this.places[0], true);
    this.refresh();
    if (picture) this.follow(picture);
  }

  async follow(picture) {
    const { signal } = this.leaving;
    try {
      const facts = await picture(signal);
      signal.throwIfAborted();
      this.path = facts.path;
      this.picture = drawPicture(facts, (first, second) => {
        const [deck, seconds] = this.active.isSecond ? [this.decks[1], second] : [this.decks[0], first];
        this.seek(deck, seconds);
        this.play();
      });
      this.pictureSide.replaceWith(this.picture.element);
      this.moved(this.active);
    } catch (error) {
      if (signal.aborted) return;
      this.pictureSide.replaceChildren(make("p.soft.small", {}, `No picture: ${error.message}`));
    }
  }

  /** Return the moment of the other recording that matches. */
  across(seconds, fromSecond) {
    const from = fromSecond ? 1 : 0;
    const to = 1 - from;
    let path = this.path;
    if (path.length < 2) path = [this.places, this.ends];
    let before = path[0];
    let after = path.at(-1);
    if (seconds >= before[from] && seconds <= after[from]) {
      const place = path.findIndex((pair) => pair[from] >= seconds);
      before = path[Math.max(place - 1, 0)];
      after = path[Math.max(place, 1)];
    }
    const length = after[from] - before[from];
    const tempo = length > 0 ? (after[to] - before[to]) / length : 1;
    return Math.max(before[to] + (seconds - before[from]) * tempo, 0);
  }

  get other() {
    return this.decks[this.active.isSecond ? 0 : 1];
  }

  get isPlaying() {
    return !this.active.media.paused && !this.active.media.error;
  }

  moved(deck) {
    if (deck !== this.active) return;
    const here = deck.media.currentTime;
    const there = this.across(here, deck.isSecond);
    deck.show(here);
    this.other.show(there);
    this.picture?.show(...(deck.isSecond ? [there, here] : [here, there]));
  }

  seek(deck, seconds, isFirst = false) {
    if (deck !== this.active) {
      const goesOn = this.isPlaying;
      this.active.media.pause();
      this.active = deck;
      if (goesOn) this.play();
    }
    deck.media.currentTime = seconds;
    if (!isFirst) this.moved(deck);
    else this.decks.forEach((each, number) => each.show(this.places[number]));
    this.refresh();
  }

  async play() {
    try {
      await this.active.media.play();
    } catch {
      // The deck says why.
    }
    this.refresh();
  }

  pause() {
    this.active.media.pause();
    this.refresh();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  switch() {
    const there = this.across(this.active.media.currentTime, this.active.isSecond);
    this.seek(this.other, there);
  }

  restart() {
    this.seek(this.active, this.places[this.active.isSecond ? 1 : 0]);
    this.play();
  }

  key(event) {
    if (!this.element.isConnected || !isForPage(event)) return;
    if (event.key === " " && event.target.closest("button, a")) return;
    const actions = {
      " ": () => this.toggle(),
      x: () => this.switch(),
      ArrowLeft: () => this.seek(this.active, Math.max(this.active.media.currentTime - 5, 0)),
      ArrowRight: () => this.seek(this.active, this.active.media.currentTime + 5),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  }

  refresh() {
    const letter = this.active.isSecond ? "B" : "A";
    this.playButton.replaceChildren(icon(this.isPlaying ? "pause" : "play"), this.isPlaying ? "Pause" : `Play ${letter}`);
    this.switchButton.replaceChildren(icon("swap"), `Switch to ${letter === "A" ? "B" : "A"}`);
    this.decks.forEach((deck) => deck.element.classList.toggle("on", deck === this.active));
  }

  /** Stop and let go of everything. */
  close() {
    this.leaving.abort();
    this.picture?.close();
    removeEventListener("keydown", this.onKey);
    removeEventListener("themechange", this.onTheme);
    for (const deck of this.decks) {
      deck.media.pause();
      deck.surfer?.destroy();
    }
    if (current === this) current = null;
  }
}

function key(name, meaning) {
  return make("span", {}, make("kbd", {}, name), ` ${meaning}`);
}
