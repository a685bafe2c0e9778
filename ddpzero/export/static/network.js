// The exported network in the browser, evaluated by onnxruntime-web on this device.
import * as ort from "./onnxruntime/ort.wasm.bundle.min.mjs";
import { isInside, readFile } from "./files.js";

// Returns async (positions) -> [{ logits, outcome }]: logits of all actions, probabilities of win, draw and loss.
export async function loadNetwork(game) {
  const runtime = "onnxruntime/ort-wasm-simd-threaded.wasm";
  if (isInside(runtime)) ort.env.wasm.wasmBinary = await readFile(runtime);
  else ort.env.wasm.wasmPaths = { wasm: new URL(runtime, document.baseURI).href }; // compiled while it arrives
  ort.env.wasm.numThreads = 1; // more need headers that a static host does not send
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(await readFile("model.onnx"), { executionProviders: ["wasm"] });
  const size = game.inputShape.reduce((product, side) => product * side, 1);
  return async (positions) => {
    const planes = new Float32Array(positions.length * size);
    positions.forEach((position, row) => game.observe(position, planes, row * size));
    const input = new ort.Tensor("float32", planes, [positions.length, ...game.inputShape]);
    const { policy_logits: policy, value } = await session.run({ planes: input });
    return positions.map((_, row) => ({
      logits: policy.data.subarray(row * game.numActions, (row + 1) * game.numActions),
      outcome: Array.from(value.data.subarray(3 * row, 3 * row + 3)),
    }));
  };
}
