// The page: sends inputs to /predict, shows the answers, and sends what a person says about them to /feedback.

import { ask, askJson, byId, element, onFiles, percent } from "./common.js";
import { decodePng, loaded, offerExplanation } from "./explanation.js";

const SHOWN = 5; // classes beside an answer
let model = null;

// --- from an input to its card ---

async function predict(name, input, request) {
  byId("status").textContent = `Predicting ${name} …`;
  const card = document.importNode(byId("card").content.firstElementChild, true); // a clone would load no image
  card.querySelector(".item").textContent = name;
  card.querySelector(".input").append(input);
  try {
    const answer = await ask(model.journal ? "predict?keep=true" : "predict", { method: "POST", ...request });
    if (answer.model !== model.model) await describe(); // the model was replaced
    await show(card, answer.predictions[0], request);
    remember(1, 0);
    byId("status").textContent = `${name}: ${card.querySelector(".predicted").textContent}`;
  } catch (error) {
    card.classList.add("failed");
    card.querySelector(".said").textContent = error.message;
    byId("status").textContent = `${name} was not predicted.`;
  }
  byId("answers").prepend(card);
}

async function predictFiles(files) {
  for (const file of files) {
    if (file.size > model.limits.bytes) {
      byId("status").textContent = `${file.name} is larger than ${Math.round(model.limits.bytes / 1e6)} MB.`;
      continue;
    }
    if (model.reads === "texts") {
      await predictText(await file.text(), file.name);
      continue;
    }
    const body = new FormData();
    body.append("file", file);
    const image = element("img", { src: URL.createObjectURL(file), alt: `The image ${file.name}` });
    image.addEventListener("error", () => (image.style.display = "none")); // no image, or none that browsers show
    await predict(file.name, model.reads === "images" ? image : file.name, { body });
  }
}

function predictText(text, name = `${text.trim().slice(0, 40)}${text.trim().length > 40 ? " …" : ""}`) {
  const body = JSON.stringify({ inputs: [text] });
  const headers = { "Content-Type": "application/json" };
  return predict(name, element("blockquote", { tabIndex: 0, textContent: text }), { headers, body });
}

// --- an answer ---

async function show(card, answer, request) {
  const unlike = answer.unfamiliar ? " (unlike the training items)" : "";
  card.querySelector(".predicted").textContent = caption(answer.prediction) + unlike;
  card.querySelector(".probabilities").append(...probabilities(answer));
  const overlay = { mask: drawMask, points: drawPoints }[model.predicts];
  if (overlay) await overlay(card.querySelector(".input"), answer.prediction);
  if (model.explains) {
    const explain = async () => (await ask("predict?explain=true", { method: "POST", ...request })).predictions[0].explanation;
    offerExplanation(card.querySelector(".why"), card.querySelector(".input"), model.explains, explain);
  }
  if (answer.id) offerVerdict(card, answer);
}

function caption(label) {
  if (model.predicts === "category") return label;
  if (model.predicts === "multi_category") return label.join(", ") || "no tag";
  if (model.predicts === "mask") return "Mask";
  if (model.predicts === "points") return `${label.length} points`;
  if (model.predicts === "numbers") return numbers(label);
  return JSON.stringify(label);
}

const numbers = (label) => Object.entries(label).map(([name, value]) => `${name} ${+(+value).toPrecision(4)}`).join(", ");

function probabilities({ probabilities: shares, prediction }) {
  if (model.predicts === "points") {
    return prediction.map(([x, y], n) => element("li", {}, `${model.classes[n]}: ${x.toFixed(1)}, ${y.toFixed(1)}`));
  }
  const likely = Object.entries(shares).sort((one, other) => other[1] - one[1]);
  const rows = model.predicts === "mask" ? likely.filter(([, share]) => share > 0) : likely.slice(0, SHOWN);
  return rows.map(([name, share]) => {
    const label = element("span", {}, name);
    if (model.colours) {
      const swatch = element("span", { className: "swatch" });
      swatch.style.backgroundColor = `rgb(${model.colours[model.classes.indexOf(name)]})`;
      label.prepend(swatch);
    }
    const meter = element("meter", { min: 0, max: 1, value: share });
    meter.setAttribute("aria-label", name);
    return element("li", {}, label, meter, element("span", { className: "share" }, percent(share)));
  });
}

async function drawMask(place, png) {
  const mask = await decodePng(png);
  const canvas = element("canvas", { width: mask.width, height: mask.height, className: "mask" });
  canvas.getContext("2d").drawImage(mask, 0, 0);
  place.append(canvas);
}

async function drawPoints(place, points) {
  const image = await loaded(place.querySelector("img"));
  const canvas = element("canvas", { width: image.naturalWidth || 1, height: image.naturalHeight || 1 });
  const pen = canvas.getContext("2d");
  const radius = Math.max(canvas.width, canvas.height) / 80;
  for (const [x, y] of points) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    Object.assign(pen, { fillStyle: "#ff2d2d", strokeStyle: "#fff", lineWidth: radius / 2 });
    pen.stroke();
    pen.fill();
  }
  place.append(canvas);
}

// --- what a person says ---

function offerVerdict(card, { id, prediction }) {
  const group = card.querySelector(".verdict");
  const form = card.querySelector(".correction");
  const said = card.querySelector(".said");
  const button = (verdict) => group.querySelector(`[data-verdict=${verdict}]`);
  const history = []; // [verdict, words] of each judgement that stands
  group.hidden = false;

  function openForm(open) {
    form.hidden = !open;
    button("wrong").setAttribute("aria-expanded", String(open));
    if (open) form.querySelector("select, input, button").focus();
  }

  async function judge(verdict, label = null, words = "") {
    group.setAttribute("aria-busy", "true");
    try {
      await askJson("feedback", { id, verdict, label });
      const judgedBefore = history.length > 0;
      if (verdict === "undo") history.pop();
      else history.push([verdict, words]);
      remember(0, (history.length > 0) - judgedBefore);
      openForm(false);
      const [now, text] = history.at(-1) || [null, "Taken back."];
      for (const each of group.querySelectorAll("button")) {
        each.setAttribute("aria-pressed", String(each.dataset.verdict === now));
      }
      button("undo").removeAttribute("aria-pressed");
      button("undo").hidden = !history.length;
      said.classList.remove("failed");
      said.textContent = text;
      if (document.activeElement === document.body) button(now || "right").focus();
    } catch (error) {
      said.classList.add("failed");
      said.textContent = error.message;
    }
    group.removeAttribute("aria-busy");
  }

  fillForm(form, prediction);
  button("right").addEventListener("click", () => judge("right", null, "Saved: right."));
  button("unknown").addEventListener("click", () => judge("unknown", null, "Saved: cannot tell."));
  button("undo").addEventListener("click", () => judge("undo"));
  button("wrong").addEventListener("click", () => {
    if (form.childNodes.length) openForm(form.hidden);
    else judge("wrong", null, "Saved: wrong.");
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const label = form.read();
    if (JSON.stringify(label) === JSON.stringify(prediction)) return judge("right", null, "Saved: right.");
    const words = label === null ? "Saved: wrong." : `Saved: wrong, it is ${caption(label)}.`;
    return judge("wrong", label, words);
  });
}

// Fills a form in which a person says what is right; form.read() then returns the label.
function fillForm(form, prediction) {
  const save = element("button", { textContent: "Save" });
  if (model.predicts === "category") {
    const options = model.classes.filter((name) => name !== prediction).map((name) => element("option", {}, name));
    const unknown = element("option", { textContent: "I do not know what" });
    const select = element("select", {}, ...options, unknown);
    form.append(element("label", {}, "It is ", select), save);
    form.read = () => (select.selectedOptions[0] === unknown ? null : select.value);
  } else if (model.predicts === "multi_category") {
    const boxes = model.classes.map((name) => {
      const box = element("input", { type: "checkbox", value: name, checked: prediction.includes(name) });
      return element("label", {}, box, name);
    });
    const legend = element("legend", { textContent: "It has these tags:" });
    form.append(element("fieldset", { className: "tags" }, legend, ...boxes), save);
    form.read = () => [...form.querySelectorAll("input:checked")].map((box) => box.value);
  } else if (model.predicts === "numbers") {
    const fields = Object.entries(prediction).map(([name, value]) => {
      const field = element("input", { type: "number", step: "any", name, required: true, value: +value.toPrecision(4) });
      return element("label", {}, `${name} `, field);
    });
    form.append(...fields, save);
    form.read = () => Object.fromEntries([...form.querySelectorAll("input")].map((one) => [one.name, Number(one.value)]));
  }
}

// --- what a reload takes from sight ---

// Counts the answers that this tab shows, and the judgements of them that are saved.
function remember(answers, judgements) {
  const [shown, saved] = JSON.parse(sessionStorage.shown || "[0, 0]");
  sessionStorage.shown = JSON.stringify([shown + answers, saved + judgements]);
}

function tellWhatIsGone() {
  const [shown, saved] = JSON.parse(sessionStorage.shown || "[0, 0]");
  sessionStorage.removeItem("shown");
  const count = (number, what) => (number === 1 ? `1 ${what} is` : `${number} ${what}s are`);
  const kept = model.journal ? `, ${count(saved, "judgement")} saved` : "";
  if (shown) byId("status").textContent = `The page was loaded again: ${count(shown, "answer")} no longer shown${kept}.`;
}

// --- what comes in ---

async function describe() {
  model = await ask("model");
  document.title = `${model.name} – onecycle`;
  byId("name").textContent = model.name;
  const names = model.classes.slice(0, 12).join(", ") + (model.classes.length > 12 ? ", …" : "");
  const kinds = { category: "one class of", multi_category: "tags:", mask: "the class of each pixel:" };
  byId("summary").textContent = `Predicts ${kinds[model.predicts] || `${model.predicts}:`} ${names}`;
  byId("texts").hidden = model.reads !== "texts";
  byId("images").hidden = model.reads === "texts";
  byId("files").accept = model.reads === "images" ? "image/*" : "";
}

onFiles(["files", "camera"], predictFiles);
byId("texts").addEventListener("submit", (event) => {
  event.preventDefault();
  predictText(byId("text").value);
});
byId("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("texts").requestSubmit();
});

try {
  await describe();
  tellWhatIsGone();
} catch (error) {
  byId("status").textContent = error.message;
}
