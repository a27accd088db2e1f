// The page: images that are chosen, dropped or pasted become cards with what the model says of them.

import { byId, element, onFiles, percent } from "./common.js";
import { description, predict } from "./model.js";

const MOST_SHOWN = 5;

async function show(file) {
  const answer = element("div", { className: "answer" }, element("p", { className: "predicted", textContent: "…" }));
  const picture = element("img", { src: URL.createObjectURL(file), alt: file.name });
  const input = element("div", { className: "input" }, picture);
  const card = element("article", {}, element("h2", { textContent: file.name }), input, answer);
  byId("answers").prepend(card);
  try {
    const { label, probabilities } = await predict(file);
    const text = Array.isArray(label) ? label.join(", ") || "none" : label;
    const shown = Object.entries(probabilities).sort((one, other) => other[1] - one[1]).slice(0, MOST_SHOWN);
    answer.replaceChildren(
      element("p", { className: "predicted", textContent: text }),
      element("ul", { className: "probabilities" }, ...shown.map(([name, value]) => element(
        "li", {},
        element("span", { textContent: name }),
        element("meter", { value, max: 1, ariaLabel: name }),
        element("span", { className: "share", textContent: percent(value) }),
      ))),
    );
    byId("status").textContent = `${file.name}: ${text}`;
  } catch (error) {
    card.classList.add("failed");
    const reason = error.name === "InvalidStateError" ? "This is no image that the browser reads." : error.message;
    answer.replaceChildren(element("p", { className: "said failed", textContent: reason }));
    byId("status").textContent = `${file.name}: ${reason}`;
  }
}

async function showAll(files) {
  for (const file of files) await show(file);
}

onFiles(["files", "camera"], showAll);

description.then(({ target, card }) => {
  byId("summary").textContent = `Predicts ${target.classes.length} ${target.kind === "category" ? "classes" : "tags"}: `
    + `${target.classes.join(", ")}. Trained${card.date ? ` on ${card.date}` : ""} with onecycle. `
    + "Images stay in this browser.";
});
