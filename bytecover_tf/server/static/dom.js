// Building elements. Text is always set as text, never as markup.

/**
 * Return an element.
 *
 * @param {string} tag - its name, perhaps with classes: `p.soft.small`.
 * @param {object} [options] - attributes; `on` holds listeners, `style` properties.
 * @param {...(Node|string|null|false)} children - what is in it.
 */
export function make(tag, options = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(options)) {
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (key === "style") {
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    } else if (value === true) {
      element.setAttribute(key, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return what is not seen but read out, whenever its text changes. */
export function readOut() {
  return make("p.said", { role: "status" });
}

const PATHS = {
  play: "M8 5v14l11-7z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  microphone: "M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3zm-1 3.9V22h2v-3.1A7 7 0 0 0 19 12h-2a5 5 0 0 1-10 0H5a7 7 0 0 0 6 6.9z",
  stop: "M6 6h12v12H6z",
  file: "M6 2h8l5 5v15H6zm7 1.5V8h4.5zM9 13h6v1.6H9zm0 3.5h6v1.6H9z",
  swap: "M7 4 3 8l4 4V9h9V7H7zm10 8v3H8v2h9v3l4-4z",
  trash: "M9 3h6l1 2h4v2H4V5h4zM6 8h12l-1 13H7zm4 2.5v8h1.5v-8zm2.5 0v8H14v-8z",
  search: "M10 4a6 6 0 1 0 3.7 10.7l5 5 1.4-1.4-5-5A6 6 0 0 0 10 4zm0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
  theme: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2.2v13.6a6.8 6.8 0 0 1 0-13.6z",
  check: "m9.5 16.2-4-4L4 13.7l5.5 5.5L20.5 8.3 19 6.8z",
  cross: "m6.4 5 5.6 5.6L17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4z",
  undo: "M8 5 3 10l5 5v-3.5h6a3.5 3.5 0 0 1 0 7H9v2h5a5.5 5.5 0 0 0 0-11H8z",
  next: "M5 5v14l9-7zm10 0h3v14h-3z",
  add: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
};

/** Return a small picture that stands beside a word, or in a button with a label. */
export function icon(name) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  picture.append(path);
  return picture;
}

/** Return a ring that is filled by a share from 0 to 1, with the percentage in it. */
export function ring(share, kind) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("viewBox", "0 0 50 50");
  picture.setAttribute("aria-hidden", "true");
  for (const part of [false, true]) {
    const circle = document.createElementNS(space, "circle");
    circle.setAttribute("cx", 25);
    circle.setAttribute("cy", 25);
    circle.setAttribute("r", 22);
    if (part) {
      circle.setAttribute("class", "part");
      circle.setAttribute("pathLength", 100);
      circle.setAttribute("stroke-dasharray", `${Math.max(100 * share, 0.01)} 100`);
    }
    picture.append(circle);
  }
  return make(`span.chance.${kind}`, {}, picture, make("span", {}, percent(share)));
}

/** Return a share as a percentage that never claims to be certain. */
export function percent(share) {
  const whole = Math.round(100 * share);
  return `${share < 1 ? Math.min(whole, 99) : whole}%`;
}

/** Return a time as a player shows it. */
export function clock(seconds) {
  const whole = Math.max(Math.floor(seconds + 1e-6), 0);
  const rest = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}:${rest}`
    : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

/** Return `1 song`, `2 songs`. */
export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/** Return what a colour of the style sheet is now, as a canvas takes it. */
export function colour(name) {
  const probe = make("span", { style: { color: `var(${name})` } });
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

let timer = 0;

/** Show a short message for some seconds. */
export function notice(text) {
  const place = document.getElementById("notice");
  place.replaceChildren(make("p", {}, text));
  clearTimeout(timer);
  timer = setTimeout(() => place.replaceChildren(), 6000);
}

/** Tell whether a key press is meant for the page and not for a control. */
export function isForPage(event) {
  return !(
    event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented ||
    event.target.closest("input, select, textarea, audio, dialog")
  );
}
