import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";

// What the encoder reads stands beside it.
const manifest = await (await fetch("manifest.json")).json();
const RATE = manifest.frontend.sample_rate;
const MIN_SAMPLES = manifest.min_samples;
const LONGEST = manifest.longest_seconds ?? 600;
// The graph runs in a worker, so that the page answers meanwhile.
ort.env.wasm.proxy = true;

const form = document.querySelector("#songs");
const button = form.querySelector("button");
const status = document.querySelector("#status");
const result = document.querySelector("#result");
const cards = [...form.querySelectorAll("fieldset")];

/** Return the mean over the channels of an audio file at the encoder's rate. */
async function decode(file) {
  // Decoding resamples to the rate of its context.
  const context = new OfflineAudioContext(1, 1, RATE);
  let audio;
  try {
    audio = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name}: this browser cannot decode it`);
  }
  const waveform = new Float32Array(audio.length);
  for (let c = 0; c < audio.numberOfChannels; c++) {
    audio.getChannelData(c).forEach((value, i) => {
      waveform[i] += value / audio.numberOfChannels;
    });
  }
  return waveform;
}

/** Return the unit-norm embedding of a waveform. */
async function embed(encoder, samples) {
  const waveform = new ort.Tensor("float32", samples, [1, samples.length]);
  const { embedding } = await encoder.run({ waveform });
  return embedding.data;
}

function dot(first, second) {
  return first.reduce((sum, value, i) => sum + value * second[i], 0);
}

async function embedCard(encoder, card) {
  const file = card.querySelector("input").files[0];
  status.textContent = `Embedding ${file.name} …`;
  const start = performance.now();
  const samples = await decode(file);
  const seconds = samples.length / RATE;
  if (samples.length < MIN_SAMPLES) {
    const least = (MIN_SAMPLES / RATE).toFixed(2);
    throw new Error(`${file.name}: is shorter than ${least} seconds`);
  }
  if (samples.length > LONGEST * RATE) {
    throw new Error(`${file.name}: so long a recording is embedded in parts`);
  }
  const decoded = performance.now();
  const embedding = await embed(encoder, samples);
  const norm = Math.sqrt(dot(embedding, embedding));
  if (Number.isNaN(norm)) throw new Error(`${file.name}: is silent`);
  const took = (from, to) => `${((to - from) / 1000).toFixed(1)} s`;
  card.querySelector(".facts").textContent =
    `${seconds.toFixed(0)} s of audio, decoded in ${took(start, decoded)}, ` +
    `embedded in ${took(decoded, performance.now())}. ` +
    `The embedding has ${embedding.length} numbers and norm ${norm.toFixed(4)}.`;
  return embedding;
}

async function compare(encoder) {
  button.disabled = true;
  result.hidden = true;
  for (const card of cards) card.querySelector(".facts").textContent = "";
  try {
    const embeddings = [];
    for (const card of cards) embeddings.push(await embedCard(encoder, card));
    const cosine = dot(...embeddings);
    result.hidden = false; // before its value, so that screen readers announce that
    document.querySelector("#cosine").value = cosine.toFixed(4);
    document.querySelector("#bar").value = cosine;
    status.textContent = "";
    window.embeddings = embeddings.map((embedding) => [...embedding]); // for check.mjs
  } catch (error) {
    status.textContent = error.message;
  }
  button.disabled = false;
}

for (const card of cards) {
  const [input, player] = card.querySelectorAll("input, audio");
  input.addEventListener("change", () => {
    URL.revokeObjectURL(player.src);
    player.src = input.files.length ? URL.createObjectURL(input.files[0]) : "";
  });
}

try {
  button.disabled = true;
  const encoder = await ort.InferenceSession.create("encoder_waveform.onnx");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    compare(encoder);
  });
  button.disabled = false;
  status.textContent = "Ready.";
} catch (error) {
  status.textContent = `The encoder cannot be loaded: ${error.message}`;
}
