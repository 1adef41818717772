// The picture of an alignment: how alike each two moments are, and the path that matches.

import { clock, colour, make } from "./dom.js";

/**
 * Draw where two recordings match.
 *
 * @param {object} facts - what the server says of a picture.
 * @param {function(number, number)} onChoose - called with the two times of a click.
 * @returns {{element: HTMLElement, show: function(number, number), close: function()}}
 */
export function drawPicture(facts, onChoose) {
  const canvas = make("canvas", {
    width: 512,
    height: 512,
    role: "img",
    "aria-label": describe(facts),
  });
  const pixels = Uint8Array.from(atob(facts.pixels), (letter) => letter.charCodeAt(0));
  let at = null;

  function draw() {
    const context = canvas.getContext("2d");
    const side = canvas.width;
    context.clearRect(0, 0, side, side);
    context.imageSmoothingEnabled = false;
    context.drawImage(shade(facts, pixels, colour("--ink")), 0, 0, side, side);
    const place = ([first, second]) => [
      (side * first) / facts.seconds[0],
      (side * second) / facts.seconds[1],
    ];
    if (facts.path.length > 1) {
      context.lineWidth = 5;
      context.lineCap = context.lineJoin = "round";
      context.strokeStyle = colour("--accent");
      context.beginPath();
      facts.path.forEach((pair) => context.lineTo(...place(pair)));
      context.stroke();
    }
    if (at) {
      const [x, y] = place(at);
      context.lineWidth = 2;
      context.strokeStyle = colour("--second");
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, side);
      context.moveTo(0, y);
      context.lineTo(side, y);
      context.stroke();
    }
  }

  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    onChoose(
      (facts.seconds[0] * (event.clientX - box.left)) / box.width,
      (facts.seconds[1] * (event.clientY - box.top)) / box.height,
    );
  });
  addEventListener("themechange", draw);
  requestAnimationFrame(draw);
  return {
    element: make(
      "div.picture",
      {},
      make("div.axes", {}, make("span", {}, make("b", {}, "A"), " →"), make("span.b", {}, make("b.b", {}, "B"), " ↓")),
      canvas,
      make("p.soft.small", {}, "Dots: moments that sound alike. Line: where A and B match. Click to listen there."),
    ),
    show(first, second) {
      at = [first, second];
      draw();
    },
    close() {
      removeEventListener("themechange", draw);
    },
  };
}

function shade(facts, pixels, ink) {
  const [red, green, blue] = ink.match(/[\d.]+/g).map(Number);
  const image = new ImageData(facts.width, facts.height);
  pixels.forEach((level, number) => {
    const alike = level / 255;
    image.data.set([red, green, blue, 235 * alike * alike], 4 * number);
  });
  const canvas = new OffscreenCanvas(facts.width, facts.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function describe(facts) {
  if (facts.path.length < 2) return "Picture of how alike the two recordings are; nothing matches.";
  const [first, last] = [facts.path[0], facts.path.at(-1)];
  return (
    `Picture of how alike the two recordings are. A from ${clock(first[0])} to ${clock(last[0])} ` +
    `matches B from ${clock(first[1])} to ${clock(last[1])}.`
  );
}
