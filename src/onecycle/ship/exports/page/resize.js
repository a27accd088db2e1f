// Images to the pixels that a model was trained on: what onecycle does in Python with Pillow, number by number.
// A canvas resizes otherwise, which changes predictions.
//
// An image here is {width, height, data}, with three bytes a pixel: red, green, blue.

const BITS = 22; // of a weight's fraction: Pillow sums whole numbers
const GAP = 2; // the triangle filter shrinks by about this factor; what is beyond is averaged before

// What a canvas gave, four bytes a pixel, on white.
export function withoutAlpha({ width, height, data }) {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3] / 255;
    for (let channel = 0; channel < 3; channel++) {
      rgb[to + channel] = Math.round(data[from + channel] * alpha + 255 * (1 - alpha));
    }
  }
  return { width, height, data: rgb };
}

// An image as the model takes it; `size` is [height, width], `method` "crop", "squish" or "pad".
export function resizeAs(image, size, method, isJpeg = false) {
  const read = isJpeg ? reduce(image, ...twice(decodingScale(image, size, method))) : image;
  const [height, width] = size;
  if (method !== "pad") return resize(read, width, height, cropBox(read, size, method));
  const [left, top, innerWidth, innerHeight] = paddingBox(read, size);
  const inner = resize(read, innerWidth, innerHeight, [0, 0, read.width, read.height]);
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < innerHeight; row++) {
    const line = inner.data.subarray(row * innerWidth * 3, (row + 1) * innerWidth * 3);
    data.set(line, ((top + row) * width + left) * 3);
  }
  return { width, height, data };
}

const twice = (value) => [value, value];

function scaleOf(image, size, method) {
  const [vertical, horizontal] = [size[0] / image.height, size[1] / image.width];
  return method === "pad" ? Math.min(vertical, horizontal) : Math.max(vertical, horizontal);
}

// In Python a JPEG is decoded at a half, a quarter or an eighth of its size, where that is enough.
function decodingScale(image, size, method) {
  const scale = scaleOf(image, size, method);
  const wanted = [image.width, image.height].map((side) => Math.max(Math.trunc(side * scale), 1));
  const most = Math.min(Math.trunc(image.width / wanted[0]), Math.trunc(image.height / wanted[1]));
  return [8, 4, 2, 1].find((factor) => most >= factor) ?? 1;
}

function cropBox(image, size, method) {
  if (method === "squish" || (image.height === size[0] && image.width === size[1])) {
    return [0, 0, image.width, image.height];
  }
  const scale = scaleOf(image, size, method);
  const [width, height] = [size[1] / scale, size[0] / scale];
  const [left, top] = [Math.max((image.width - width) / 2, 0), Math.max((image.height - height) / 2, 0)];
  return [left, top, Math.min(left + width, image.width), Math.min(top + height, image.height)];
}

function paddingBox(image, [height, width]) {
  const scale = scaleOf(image, [height, width], "pad");
  const innerWidth = Math.min(Math.max(roundHalfToEven(image.width * scale), 1), width);
  const innerHeight = Math.min(Math.max(roundHalfToEven(image.height * scale), 1), height);
  return [Math.floor((width - innerWidth) / 2), Math.floor((height - innerHeight) / 2), innerWidth, innerHeight];
}

function roundHalfToEven(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

function resize(image, width, height, box) {
  const [left, top, right, bottom] = box;
  const factors = [(right - left) / width, (bottom - top) / height].map((ratio) => Math.trunc(ratio / GAP) || 1);
  if (Math.max(...factors) > 1) {
    const reach = [(right - left) / width / 2, (bottom - top) / height / 2];
    const around = [
      Math.max(0, Math.trunc(left - reach[0])), Math.max(0, Math.trunc(top - reach[1])),
      Math.min(image.width, Math.ceil(right + reach[0])), Math.min(image.height, Math.ceil(bottom + reach[1])),
    ];
    const reduced = reduce(image, ...factors, around);
    const inner = box.map((edge, side) => (edge - around[side % 2]) / factors[side % 2]);
    return filter(reduced, width, height, inner);
  }
  return filter(image, width, height, box);
}

// The mean of each block of `across` by `down` pixels.
function reduce(image, across, down, box = [0, 0, image.width, image.height]) {
  if (across === 1 && down === 1) return image;
  const [left, top, right, bottom] = box;
  const [width, height] = [Math.ceil((right - left) / across), Math.ceil((bottom - top) / down)];
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    const [firstRow, lastRow] = [top + y * down, Math.min(top + (y + 1) * down, bottom)];
    for (let x = 0; x < width; x++) {
      const [first, last] = [left + x * across, Math.min(left + (x + 1) * across, right)];
      const count = (lastRow - firstRow) * (last - first);
      const sums = [0, 0, 0].fill(Math.floor(count / 2));
      for (let row = firstRow; row < lastRow; row++) {
        for (let from = (row * image.width + first) * 3, end = from + (last - first) * 3; from < end; from += 3) {
          sums[0] += image.data[from];
          sums[1] += image.data[from + 1];
          sums[2] += image.data[from + 2];
        }
      }
      const multiplier = Math.floor(2 ** 24 / count);
      for (const sum of sums) data[to++] = Math.floor((sum * multiplier) / 2 ** 24);
    }
  }
  return { width, height, data };
}

// The triangle filter, over as many pixels as a new one covers: rows first, then columns.
function filter(image, width, height, [left, top, right, bottom]) {
  let { data } = image;
  if (width !== image.width || left || right !== width) {
    data = filterLines(data, image.height, image.width * 3, 3, width * 3, weightsOf(image.width, left, right, width));
  }
  if (height !== image.height || top || bottom !== height) {
    data = filterColumns(data, width * 3, weightsOf(image.height, top, bottom, height));
  }
  return { width, height, data };
}

// For each of `count` new pixels: the first old one that it covers, and the weights from there on.
function weightsOf(length, start, end, count) {
  const [begin, reach] = [Math.fround(start), Math.fround(Math.fround(end) - Math.fround(start))];
  const scale = reach / count;
  const support = Math.max(scale, 1);
  return Array.from({ length: count }, (_, place) => {
    const center = begin + (place + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const last = Math.min(Math.trunc(center + support + 0.5), length);
    const weights = [];
    let sum = 0;
    for (let at = 0; at < last - first; at++) {
      weights.push(Math.max(1 - Math.abs((at + first - center + 0.5) * (1 / support)), 0));
      sum += weights[at];
    }
    return { first, weights: Int32Array.from(weights, (weight) => Math.trunc(0.5 + (weight / sum) * 2 ** BITS)) };
  });
}

const HALF = 2 ** (BITS - 1);

function filterLines(data, lines, step, channels, newStep, all) {
  const made = new Uint8Array(lines * newStep);
  for (let line = 0; line < lines; line++) {
    let to = line * newStep;
    for (const { first, weights } of all) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        let from = line * step + first * channels + channel;
        for (const weight of weights) {
          sum += data[from] * weight;
          from += channels;
        }
        made[to++] = sum >> BITS;
      }
    }
  }
  return made;
}

function filterColumns(data, step, all) {
  const made = new Uint8Array(all.length * step);
  all.forEach(({ first, weights }, row) => {
    for (let column = 0; column < step; column++) {
      let sum = HALF;
      let from = first * step + column;
      for (const weight of weights) {
        sum += data[from] * weight;
        from += step;
      }
      made[row * step + column] = sum >> BITS;
    }
  });
  return made;
}
