import { readFile } from "node:fs/promises";

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/**
 * Read a WAV file of 16-bit integers or 32-bit floats.
 *
 * @param {string} path
 * @param {number} wanted the sample rate that it must have, in Hz
 * @returns {Promise<Float32Array>} the mean over all channels, full scale 1
 */
export async function readWav(path, wanted) {
  const fail = (reason) => {
    const fix = `ffmpeg -i ${path} -ac 1 -ar ${wanted} -c:a pcm_f32le converted.wav`;
    throw new Error(`${path}: ${reason}. Convert it first: ${fix}`);
  };
  const bytes = await readFile(path);
  if (bytes.toString("latin1", 0, 4) !== "RIFF") fail("is not a WAV file");
  const chunks = findChunks(bytes);
  if (!chunks["fmt "] || !chunks.data) fail("has no format or no samples");

  const head = chunks["fmt "];
  const tag = head.readUInt16LE(0);
  const format = tag === EXTENSIBLE ? head.readUInt16LE(24) : tag;
  const channels = head.readUInt16LE(2);
  const rate = head.readUInt32LE(4);
  const bits = head.readUInt16LE(14);
  if (rate !== wanted) fail(`its rate is ${rate} Hz, expected ${wanted} Hz`);

  const { data } = chunks;
  let sample;
  if (format === PCM && bits === 16) sample = (i) => data.readInt16LE(2 * i) / 32768;
  else if (format === FLOAT && bits === 32) sample = (i) => data.readFloatLE(4 * i);
  else fail(`has format ${format} with ${bits} bits, expected 16-bit PCM or floats`);

  const waveform = new Float32Array(Math.floor((data.length * 8) / bits / channels));
  for (let i = 0; i < waveform.length; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += sample(i * channels + c);
    waveform[i] = sum / channels;
  }
  return waveform;
}

function findChunks(bytes) {
  const chunks = {};
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32LE(at + 4);
    chunks[bytes.toString("latin1", at, at + 4)] = bytes.subarray(at + 8, at + 8 + size);
    at += 8 + size + (size % 2); // chunks start at even offsets
  }
  return chunks;
}
