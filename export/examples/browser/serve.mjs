// Serve the page: node serve.mjs encoder_waveform.onnx [PORT]
import { realpathSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, posix } from "node:path";
import { argv } from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};
// A page may use several threads only if it is isolated from others.
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/**
 * Serve this folder, the encoder and its manifest on 127.0.0.1.
 *
 * @param {string} encoder path of the file that the page gets as its encoder
 * @param {number} port 0 for any that is free
 * @returns {Promise<import("node:http").Server>} listening
 */
export function serve(encoder, port) {
  const server = createServer(async (request, response) => {
    try {
      // Normalised from the root, so that `..` cannot leave the folder.
      const asked = decodeURIComponent(new URL(request.url, "http://page").pathname);
      if (asked.includes("\\")) throw new Error("separates folders on Windows");
      const path = posix.normalize(asked);
      const name = path === "/" ? "/index.html" : path;
      const beside = join(dirname(encoder), "manifest.json");
      const given = { "/encoder_waveform.onnx": encoder, "/manifest.json": beside };
      const file = given[name] ?? join(FOLDER, name);
      const body = await readFile(file);
      const type = TYPES[extname(name)] ?? "application/octet-stream";
      response.writeHead(200, { "Content-Type": type, ...ISOLATED }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

if (import.meta.url === pathToFileURL(realpathSync(argv[1])).href) {
  const server = await serve(argv[2], Number(argv[3] ?? 8000));
  console.log(`http://127.0.0.1:${server.address().port}`);
}
