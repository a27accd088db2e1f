// The model of this folder: image files in, labels with probabilities out. Nothing leaves the browser.

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { resizeAs, withoutAlpha } from "./resize.js";

ort.env.wasm.numThreads = 1; // more need headers that not every host of static files sends
ort.env.wasm.wasmPaths = { wasm: new URL("ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };

// What the file says of itself: classes, threshold, how images are read.
export const description = fetch(new URL("model.json", import.meta.url)).then((response) => response.json());
const session = ort.InferenceSession.create(new URL("model.onnx", import.meta.url).href);
session.catch(() => {}); // whoever predicts is told

// Returns the pixels of an image file as the model takes them.
export async function read(file) {
  const { size, method, orientation } = (await description).modality;
  const turned = orientation === "ignore" ? "none" : "from-image";
  const options = { imageOrientation: turned, colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(file, options);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
  bitmap.close();
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return resizeAs(withoutAlpha(pixels), size, method, first === 0xff && second === 0xd8);
}

// Returns {label, probabilities}: a class, or the tags above the threshold, and the probability of each by name.
export async function predict(file) {
  const { target, input, output } = await description;
  const { width, height, data } = await read(file);
  const pixels = new ort.Tensor("uint8", data, [1, height, width, 3]);
  const values = Array.from((await (await session).run({ [input.name]: pixels }))[output].data);
  const probabilities = Object.fromEntries(target.classes.map((name, place) => [name, values[place]]));
  const label = target.kind === "multi_category"
    ? target.classes.filter((_, place) => values[place] > target.threshold)
    : target.classes[values.indexOf(Math.max(...values))];
  return { label, probabilities };
}
