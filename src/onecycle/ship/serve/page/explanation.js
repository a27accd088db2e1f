// What a model went by, asked for when it is wanted: words are marked, and a map is drawn over the image.

import { element } from "./common.js";

const SHOWN = 5; // words that speak for a class

// Fills `details`, and lays a map over the image in `place`; `explain` asks the server.
export function offerExplanation(details, place, explains, explain) {
  const text = element("div");
  text.setAttribute("aria-live", "polite");
  let heat = null;
  details.append(element("summary", {}, explains === "words" ? "Which words mattered?" : "Where did it look?"), text);
  details.hidden = false;
  details.addEventListener("toggle", async () => {
    if (heat) heat.hidden = !details.open;
    if (!details.open || text.childNodes.length) return;
    text.textContent = explains === "words" ? "Leaving out each word in turn …" : "Looking for what mattered …";
    try {
      const explanation = await explain();
      if (explanation.words) {
        showWords(text, explanation);
      } else {
        heat = await drawHeat(place, explanation);
        heat.hidden = !details.open;
        text.replaceChildren(element("p", { className: "hint" }, `Yellow is what speaks for ${explanation.label}, brightest where it matters most.`));
      }
    } catch (error) {
      text.textContent = error.message;
    }
  });
}

function showWords(place, { label, words }) {
  const largest = Math.max(...words.map(([, score]) => Math.abs(score))) || 1;
  const marked = words.flatMap(([word, score]) => {
    const mark = element("mark", { className: score < 0 ? "against" : "", title: score.toFixed(2) }, word);
    mark.style.setProperty("--share", (0.6 * Math.abs(score) / largest).toFixed(2));
    return [mark, " "];
  });
  const speaking = words.filter(([word, score]) => score > 0 && /[\p{L}\p{N}]/u.test(word));
  const top = new Set(speaking.sort((one, other) => other[1] - one[1]).map(([word]) => word));
  const summary = top.size ? `Most for ${label}: ${[...top].slice(0, SHOWN).join(", ")}.` : `No word speaks for ${label}.`;
  place.replaceChildren(element("p", {}, ...marked), element("p", { className: "hint" }, summary));
}

// Draws a grey map over the part of the image that the model saw, dark where the map is.
async function drawHeat(place, { map, box: [left, top, right, bottom] }) {
  const seen = await decodePng(map);
  const colours = element("canvas", { width: seen.width, height: seen.height });
  const pen = colours.getContext("2d");
  pen.drawImage(seen, 0, 0);
  const pixels = pen.getImageData(0, 0, seen.width, seen.height);
  for (let n = 0; n < pixels.data.length; n += 4) {
    const share = pixels.data[n] / 255;
    pixels.data.set([255 * Math.sqrt(share), 225 * share, 30 * (1 - share), 90 + 90 * share], n);
  }
  pen.putImageData(pixels, 0, 0);
  const image = await loaded(place.querySelector("img"));
  const scale = Math.min(1, 800 / Math.max(image.naturalWidth, image.naturalHeight, 1));
  const [width, height] = [image.naturalWidth, image.naturalHeight].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = element("canvas", { width, height, className: "heat" });
  canvas.getContext("2d").drawImage(colours, left * width, top * height, (right - left) * width, (bottom - top) * height);
  place.append(canvas);
  return canvas;
}

export function decodePng(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}

export async function loaded(image) {
  if (!image.complete) await new Promise((done) => Object.assign(image, { onload: done, onerror: done }));
  return image;
}
