// The page of a review: shows a card, and sends what a person decides about it. The server knows what comes next.

import { ask, askJson, byId, element, percent } from "./common.js";
import { offerExplanation } from "./explanation.js";

const SHOWN = 5; // classes beside an answer
const KEYS = "1234567890"; // of the first choices
const MOST_CHOICES = 30; // that are shown before anything is typed
const SECONDS = 3; // between two looks at what is new
const SPLITS = { train: "training", valid: "validation", test: "test", pool: "new" };

const tab = sessionStorage.tab ||= crypto.randomUUID?.() || String(Math.random());
let about = null;
let state = null; // what the server said last
let card = null;
let kind = sessionStorage.kind || "";
let busy = false;

const caption = (label) => {
  if (label === null || label === undefined) return "no label";
  return Array.isArray(label) ? label.join(", ") || "no tag" : String(label);
};
const key = (letter) => element("kbd", { ariaHidden: "true" }, letter);
const same = (one, other) => JSON.stringify([one].flat().sort()) === JSON.stringify([other].flat().sort());
const tags = () => about.predicts === "multi_category";
const hasClasses = () => tags() || about.predicts === "category";
const inWords = () => hasClasses() || about.predicts === "numbers"; // others are drawn

function tell(text, failed = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("failed", failed);
}

// --- what the server says ---

async function load() {
  const body = await ask(`card?${new URLSearchParams({ tab, kind })}`);
  showState(body);
  return body;
}

function showState(body) {
  state = { ...state, ...body };
  const total = state.kinds.reduce((sum, one) => sum + one.total, 0);
  const decided = state.kinds.reduce((sum, one) => sum + one.decided, 0);
  const skipped = state.kinds.reduce((sum, one) => sum + one.skipped, 0);
  const searching = state.kinds.filter((one) => one.searching);
  Object.assign(byId("bar"), { max: total || 1, value: decided });
  byId("count").textContent = `${decided} of ${total} decided${skipped ? `, ${skipped} skipped` : ""}` +
    (searching.length ? `; still looking for ${searching.map((one) => one.title.toLowerCase()).join(", ")}` : "");
  const all = { kind: "", title: "All", total, decided };
  byId("kinds").replaceChildren(...[all, ...state.kinds.filter((one) => one.total)].map((one) => {
    const button = element("button", { type: "button", textContent: `${one.title} ${one.decided}/${one.total}` });
    button.setAttribute("aria-pressed", String(one.kind === kind));
    button.addEventListener("click", () => choose(one.kind));
    return button;
  }));
  byId("undo").hidden = !state.undo;
  const problems = new Map(state.kinds.filter((one) => one.problem).map((one) => [one.problem, one.title]));
  byId("problems").replaceChildren(...[...problems].map(([text, title]) => element("li", {}, `${title}: ${text}`)));
}

// Shows what is to be looked at now; `said` is what was just done.
async function go(said = "") {
  const { card: now, upcoming } = await load();
  const moved = now?.key !== card?.key || now?.version !== card?.version;
  card = now;
  if (card) {
    if (moved) showCard();
    for (const each of about.reads === "texts" ? [] : upcoming) new Image().src = picture(each);
  } else {
    showNothing();
  }
  tell(said);
  if (moved) (card ? byId("title") : byId("nothing-title")).focus({ preventScroll: !card });
}

function choose(other) {
  sessionStorage.kind = kind = other;
  go().catch(failed).then(() => byId("kinds").querySelector("[aria-pressed=true]").focus());
}

function failed(error) {
  tell(error.message, true);
}

const picture = (item) => `picture?${new URLSearchParams({ item })}`;

// --- a card ---

function showCard() {
  const first = card.items[0];
  byId("nothing").hidden = true;
  byId("card").hidden = false;
  byId("card").classList.toggle("group", card.group);
  byId("title").textContent = `${card.title}: ${card.group ? `${card.items.length} items` : first.name}`;
  byId("reasons").replaceChildren(...card.reasons.map((reason) => element("p", {}, reason)));
  byId("items").replaceChildren(...card.items.map(card.group ? oneOfMany : alone));
  byId("said").replaceChildren(...(card.group ? [] : said(first)));
  if (about.explains && !card.group && !first.problem) offerWhy(first);
  byId("typed").value = "";
  byId("classes").hidden = !hasClasses();
  byId("typed-label").replaceChildren(key("/"), tags() ? "Tags" : card.group ? "All of them are" : "It is");
  byId("save").hidden = !tags();
  const keep = card.new ? `Right: ${caption(first.predicted)}` : inWords() ? `Keep: ${caption(first.label)}` : "Keep";
  byId("keep").replaceChildren(key("K"), card.group ? "Keep all as labelled" : keep);
  byId("keep").hidden = card.new && first.predicted === null;
  byId("accept").replaceChildren(key("P"), `Relabel: ${caption(first.predicted)}`);
  byId("accept").hidden = card.group || card.new || first.predicted === null || same(first.predicted, first.label ?? []);
  const remove = card.new ? "Leave out" : "Remove";
  byId("remove").replaceChildren(key("X"), card.group ? "Remove what is ticked, keep the others" : remove);
  byId("skip").replaceChildren(key("S"), "Skip");
  checked = new Set(tags() ? card.items[0][card.new ? "predicted" : "label"] || [] : []);
  ordered = order();
  showChoices();
}

function shown(item) {
  if (item.text !== null) return element("blockquote", { tabIndex: 0, textContent: item.problem || item.text });
  const image = element("img", { src: picture(item.key), alt: `The item ${item.name}` });
  image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth < 100));
  image.addEventListener("error", () => image.replaceWith(element("p", {}, `${item.name} cannot be shown.`)));
  return image;
}

function alone(item) {
  const input = element("div", { className: "input" }, shown(item));
  return element("figure", {}, input, element("figcaption", {}, `${item.name}, a ${SPLITS[item.split]} item`));
}

function oneOfMany(item, number) {
  const box = element("input", { type: "checkbox", value: item.name, checked: item.proposed });
  const label = element("label", {}, box, number < 9 ? key(KEYS[number]) : "", "Remove");
  box.setAttribute("aria-label", `Remove ${item.name}`);
  const said = item.decision?.decision === "relabel" ? `relabelled ${item.decision.label}` : `labelled ${caption(item.label)}`;
  const words = `${item.name}, a ${SPLITS[item.split]} item, ${said}`;
  const figure = element("figure", {}, shown(item), element("figcaption", {}, words), label);
  const mark = () => figure.classList.toggle("gone", box.checked);
  box.addEventListener("change", mark);
  mark();
  return figure;
}

function said(item) {
  const given = card.new ? "No label yet" : inWords() ? `Labelled: ${caption(item.label)}` : "";
  const likely = Object.entries(item.probabilities).sort((one, other) => other[1] - one[1]).slice(0, SHOWN);
  const rows = likely.map(([name, share]) => {
    const meter = element("meter", { min: 0, max: 1, value: share });
    meter.setAttribute("aria-label", name);
    return element("li", {}, element("span", {}, name), meter, element("span", { className: "share" }, percent(share)));
  });
  const fixed = card.new ? "No label of this kind can be given here: leave the item out, or skip it."
    : "A label of this kind cannot be changed here: keep or remove the item, and correct the label where it comes from.";
  const hint = hasClasses() ? "" : element("p", { className: "hint", id: "fixed" }, fixed);
  return [element("p", { className: "given" }, given), hint, element("ul", { className: "probabilities" }, ...rows)];
}

function offerWhy(item) {
  const why = element("details", { className: "why", id: "why" });
  const input = byId("items").querySelector(".input");
  input.querySelector("img")?.addEventListener("error", () => why.remove());
  offerExplanation(why, input, about.explains, () => ask(`explain?${new URLSearchParams({ item: item.key })}`));
  why.firstChild.prepend(key("W"));
  byId("said").append(why);
}

// --- another label: the first ten by a key, all by their beginning ---

let checked = new Set();
let ordered = [];

// Where keys suffice for all classes, they stay the same; else the likeliest come first.
function order() {
  if (about.classes.length <= KEYS.length) return about.classes;
  const shares = card.items[0].probabilities;
  const place = (name) => (checked.has(name) ? 2 : 0) + (shares[name] ?? 0);
  return [...about.classes].sort((one, other) => place(other) - place(one));
}

function fitting() {
  const typed = byId("typed").value.trim().toLowerCase();
  const starts = ordered.filter((name) => name.toLowerCase().startsWith(typed));
  const holds = ordered.filter((name) => name.toLowerCase().includes(typed) && !starts.includes(name));
  return [...starts, ...holds];
}

function showChoices() {
  const typed = byId("typed").value.trim();
  const fits = typed ? fitting() : ordered.slice(0, card.group ? 0 : MOST_CHOICES);
  byId("choices").replaceChildren(...fits.map((name, place) => {
    const number = ordered.indexOf(name);
    const mark = number < KEYS.length && !card.group ? key(KEYS[number]) : "";
    const first = typed && place === 0 ? "first" : "";
    if (!tags()) {
      const button = element("button", { type: "button", className: first }, mark, name);
      button.addEventListener("click", () => relabel(name));
      return button;
    }
    const box = element("input", { type: "checkbox", checked: checked.has(name) });
    box.addEventListener("change", () => toggle(name));
    return element("label", { className: first }, box, mark, name);
  }));
  const more = ordered.length - fits.length;
  byId("fits").textContent = typed ? (fits.length ? `Enter takes ${fits[0]}` : "no class fits") : "";
  if (!typed && more > 0 && !card.group) byId("choices").append(element("span", { className: "hint" }, `and ${more} more, by their beginning`));
}

function toggle(name) {
  if (!checked.delete(name)) checked.add(name);
  showChoices();
  tell(`${name} is ${checked.has(name) ? "on" : "off"}.`);
}

function take(name) {
  if (!tags()) return relabel(name);
  byId("typed").value = "";
  return toggle(name);
}

function saveTags() {
  return relabel(about.classes.filter((name) => checked.has(name)));
}

// --- decisions ---

async function send(path, body, said) {
  if (busy) return;
  busy = true;
  byId("card").setAttribute("aria-busy", "true");
  try {
    await askJson(path, { tab, ...body });
    await go(said);
  } catch (error) {
    if (error.status === 409) await go(error.message).catch(failed);
    else failed(error);
  } finally {
    busy = false;
    byId("card").removeAttribute("aria-busy");
  }
}

const decide = (decision, more, said) =>
  send("decide", { card: card.key, version: card.version, decision, ...more }, `Saved: ${nameOf(card)} ${said}.`);
const nameOf = ({ group, items }) => (group ? `${items.length} items` : items[0].name);

function relabel(label) {
  const now = card.new ? card.items[0].predicted : card.items[0].label;
  if (!card.group && same(label, now ?? [])) return keep();
  return decide("relabel", { label }, `${card.group ? "are" : "is"} ${caption(label)}`);
}

const keep = () => decide("keep", {}, card.group ? "are kept" : inWords() ? `is ${caption(card.new ? card.items[0].predicted : card.items[0].label)}` : "is kept");

function remove() {
  const ticked = [...byId("items").querySelectorAll("input:checked")].map((box) => box.value);
  if (card.group && !ticked.length) return tell("Tick what to remove first.", true);
  const said = card.group ? `(${ticked.length} removed)` : card.new ? "is left out" : "is removed";
  return decide("remove", { removed: ticked }, said);
}

const skip = () => send("skip", { card: card.key }, `Skipped: ${nameOf(card)}.`);
const undo = () => send("undo", {}, "Taken back.");

function showNothing() {
  const searching = state.kinds.some((one) => one.searching);
  const skipped = state.kinds.reduce((sum, one) => sum + one.skipped, 0);
  const decided = state.kinds.reduce((sum, one) => sum + one.decided, 0);
  byId("card").hidden = true;
  byId("nothing").hidden = false;
  byId("nothing-title").textContent = searching ? "Looking for what is worth a look …" : skipped ? "All that is left was skipped." : "All is decided.";
  byId("nothing-text").textContent = searching ? "The first items come in a moment." : `${decided} decided. They are in ${about.written}`;
  byId("again").hidden = !skipped;
  byId("again").textContent = `Look at the ${skipped} skipped again`;
}

// --- keys ---

const HELP = [
  ["K", "keep the label; of a new item: what is predicted is right"], ["P", "relabel it as predicted"],
  ["1 to 9, 0", "relabel it as the class with this number; tags: on and off; near-duplicates: tick and untick"],
  ["/", "type the beginning of a class, Enter takes it"], ["Enter", "tags: save them"], ["X", "remove it"],
  ["S", "skip it for now"], ["W", "show what the model went by, and hide it"], ["U", "take the last decision back"],
];

function press(event) {
  const typing = event.target.matches("input[type=text]");
  if (event.key === "Escape" && typing) {
    byId("typed").value = "";
    showChoices();
    byId("title").focus();
    return true;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !byId("keys").checked) return false;
  const letter = event.key.toLowerCase();
  if (letter === "u" && state?.undo) return undo();
  if (!card) return false;
  const number = KEYS.indexOf(event.key);
  if (number >= 0 && card.group) return byId("items").querySelectorAll("input")[number]?.click();
  if (number >= 0 && hasClasses() && number < ordered.length) return take(ordered[number]);
  if (letter === "/" && hasClasses()) return byId("typed").focus();
  if (event.key === "Enter" && tags() && !card.group && !event.target.matches("button, summary, input")) return saveTags();
  const why = byId("why");
  if (letter === "w" && why) return (why.open = !why.open) || true;
  const pressed = { k: "keep", p: "accept", x: "remove", s: "skip" }[letter];
  if (!pressed || byId(pressed).hidden) return false;
  return byId(pressed).click();
}

document.addEventListener("keydown", (event) => {
  if (press(event) !== false) event.preventDefault();
});
byId("keep").addEventListener("click", keep);
byId("accept").addEventListener("click", () => relabel(card.items[0].predicted));
byId("remove").addEventListener("click", remove);
byId("skip").addEventListener("click", skip);
byId("undo").append(key("U"), "Undo");
byId("undo").addEventListener("click", undo);
byId("again").addEventListener("click", () => send("skipped", {}, ""));
byId("typed").addEventListener("input", showChoices);
byId("classes").addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("typed").value.trim()) {
    const [first] = fitting();
    if (first) take(first);
  } else if (tags()) {
    saveTags();
  }
});
byId("keys").addEventListener("change", () => document.body.classList.toggle("no-keys", !byId("keys").checked));
byId("help").append(...HELP.flatMap(([letter, words]) => [element("dt", {}, element("kbd", {}, letter)), element("dd", {}, words)]));

// What is found meanwhile, and what other tabs decide.
async function look() {
  if (!busy) {
    try {
      const { card: now } = await load();
      if (busy) return;
      if (now?.key !== card?.key || now?.version !== card?.version) await go(card ? "This was decided in another tab." : "");
      else if (!card) showNothing();
    } catch (error) {
      failed(error);
    }
  }
}

try {
  about = await ask("about");
  document.title = `Review of ${about.name} – onecycle`;
  byId("name").textContent = `Review of ${about.name}`;
  byId("written").textContent = `Decisions are written to ${about.written}`;
  await go();
  setInterval(look, 1000 * SECONDS);
} catch (error) {
  failed(error);
}
