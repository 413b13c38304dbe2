// MoveNet as published, run by TensorFlow.js on the CPU: pictures in, what its graph says out.
//
//     node benchmarks/movenet_parity.mjs MODULES MODEL.json PICTURES.u8 HEIGHT WIDTH NODES ANSWERS.f32
//
// MODULES holds node_modules/ with @tensorflow/tfjs-core, -converter and -backend-cpu. PICTURES are uint8, N×HEIGHT×WIDTH×3.
// ANSWERS are float32: for each picture what the graph's NODES (names with commas between) give, one after another.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [modules, file, pictures, heightPx, widthPx, nodes, answers] = process.argv.slice(2);
const require = createRequire(path.resolve(modules, "package.json"));
const tf = require("@tensorflow/tfjs-core");
require("@tensorflow/tfjs-backend-cpu");
const { loadGraphModel } = require("@tensorflow/tfjs-converter");

const { modelTopology, weightsManifest, signature } = JSON.parse(fs.readFileSync(file));
const weights = fs.readFileSync(path.join(path.dirname(file), weightsManifest[0].paths[0]));
const weightData = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length);
await tf.setBackend("cpu");
const model = await loadGraphModel(
  tf.io.fromMemory({ modelTopology, weightSpecs: weightsManifest[0].weights, weightData, signature }),
);
const [height, width] = [Number(heightPx), Number(widthPx)];
const codes = fs.readFileSync(pictures);
const size = height * width * 3;
const out = fs.createWriteStream(answers);
for (let first = 0; first < codes.length; first += size) {
  const picture = tf.tensor4d(Int32Array.from(codes.subarray(first, first + size)), [1, height, width, 3], "int32");
  for (const answer of [model.execute({ "input:0": picture }, nodes.split(","))].flat()) {
    out.write(Buffer.from(new Float32Array(answer.dataSync()).buffer));
    answer.dispose();
  }
  picture.dispose();
}
out.end();
