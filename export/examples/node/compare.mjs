// Compare two songs: node compare.mjs encoder_waveform.onnx SONG.wav OTHER.wav
// With --json it also prints the embeddings.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { readWav } from "./wav.mjs";

async function embed(encoder, manifest, path) {
  const { min_samples: least, frontend } = manifest;
  const samples = await readWav(path, frontend.sample_rate);
  if (samples.length < least) {
    const seconds = (least / frontend.sample_rate).toFixed(2);
    throw new Error(`${path}: shorter than ${seconds} s`);
  }
  if (samples.length > (manifest.longest_seconds ?? 600) * frontend.sample_rate) {
    throw new Error(`${path}: so long a recording is embedded in parts, see ../README.md`);
  }
  const waveform = new Tensor("float32", samples, [1, samples.length]);
  const { embedding } = await encoder.run({ waveform });
  if (Number.isNaN(embedding.data[0])) throw new Error(`${path}: is silent`);
  return embedding.data;
}

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [model, ...songs] = positionals;
if (songs.length !== 2) {
  console.error("usage: node compare.mjs [--json] ENCODER.onnx SONG.wav OTHER.wav");
  process.exit(2);
}
try {
  const encoder = await InferenceSession.create(model);
  // What the encoder reads stands beside it.
  const facts = await readFile(join(dirname(model), "manifest.json"), "utf8");
  const manifest = JSON.parse(facts);
  const first = await embed(encoder, manifest, songs[0]);
  const second = await embed(encoder, manifest, songs[1]);
  const cosine = first.reduce((sum, value, i) => sum + value * second[i], 0);
  if (values.json) {
    console.log(JSON.stringify({ cosine, embeddings: [[...first], [...second]] }));
  } else {
    console.log(`cosine similarity ${cosine.toFixed(4)}`);
  }
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
