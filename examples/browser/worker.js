// Runs sherpa-onnx, so that the page stays alive: {models, samples, options} in, {turns} or {error} out.
"use strict";

// sherpa-onnx comes to npm as WebAssembly for Node.js, of which it needs little: here it is.
const files = new Map(); // the bytes of each path
const open = [null, null, null]; // after the standard streams
const at = (path) => {
  if (files.has(path)) return files.get(path);
  throw Object.assign(new Error(`no file ${path}`), { code: "ENOENT" });
};
const then = new Date(0);
const stat = ({ length }) => ({
  ...{ ino: 1, dev: 1, nlink: 1, mode: 0o100444, uid: 0, gid: 0, rdev: 0, size: length },
  ...{ blksize: 4096, blocks: 1, atime: then, mtime: then, ctime: then },
  isDirectory: () => false,
});
let said = ""; // what sherpa-onnx wrote last, its reason where it gives up
const modules = {
  fs: {
    readFileSync: at,
    openSync: (path) => open.push(at(path)) - 1,
    closeSync: (handle) => (open[handle] = null),
    fstatSync: (handle) => stat(open[handle]),
    lstatSync: (path) => stat(at(path)),
    statSync: (path) => stat(at(path)),
    readSync(handle, buffer, offset, length, position) {
      const part = open[handle].subarray(position, position + length);
      buffer.set(part, offset);
      return part.length;
    },
    writeSync(handle, buffer, offset, length) {
      said = new TextDecoder().decode(buffer.slice(offset, offset + length)).trim() || said;
      return length;
    },
  },
  path: {
    isAbsolute: (path) => path.startsWith("/"),
    normalize: (path) => path,
    basename: (path) => path.split("/").at(-1),
    dirname: () => "/",
    join: (...parts) => parts.join("/").replace(/\/+/g, "/"),
  },
  crypto: { randomFillSync: (view) => crypto.getRandomValues(view) },
};
self.require = (name) => modules[name];
self.module = {};
self.__dirname = self.__filename = "";
self.process = {
  versions: { node: "20" },
  argv: [],
  env: {},
  platform: "web",
  binding: () => ({ fs: {} }),
  cwd: () => "/",
};

const FOLDER = "node_modules/sherpa-onnx";
importScripts(`${FOLDER}/sherpa-onnx-wasm-nodejs.js`);
importScripts(`${FOLDER}/sherpa-onnx-speaker-diarization.js`);

async function load(path, source) {
  const response = await fetch(source);
  if (!response.ok) throw new Error(`expected ${source}, found status ${response.status}`);
  files.set(path, new Uint8Array(await response.arrayBuffer()));
}

const wasm = {};
const ready = load("/sherpa-onnx-wasm-nodejs.wasm", `${FOLDER}/sherpa-onnx-wasm-nodejs.wasm`).then(
  () => Module(wasm), // the loader's function, which fills `wasm`
);

self.onmessage = async ({ data: { models, samples, options } }) => {
  try {
    await Promise.all([ready, ...Object.entries(models).map(([name, url]) => load(`/${name}`, url))]);
    const diarizer = createOfflineSpeakerDiarization(wasm, {
      segmentation: { pyannote: { model: "/segmentation" } },
      embedding: { model: "/embedding" },
      clustering: { numClusters: options.speakers || -1, threshold: options.threshold },
      minDurationOn: options.shortest,
      minDurationOff: options.gap,
    });
    if (!diarizer.handle) throw new Error("sherpa-onnx takes no such models");
    postMessage({ turns: diarizer.process(samples) });
    diarizer.free();
  } catch (error) {
    postMessage({ error: `${error.message ?? error} ${said}` });
  }
};
