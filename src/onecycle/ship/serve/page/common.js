// What the pages have in common: asking the server, making elements, and taking files.

export const byId = (id) => document.getElementById(id);
export const percent = (share) => `${(100 * share).toFixed(share > 0.995 || share < 0.005 ? 1 : 0)}%`;

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Calls `take` with the files that are chosen by one of the inputs, dropped on the page, or pasted.
export function onFiles(inputs, take) {
  for (const id of inputs) {
    byId(id).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = ""; // so that the same file can be chosen again
      take(files);
    });
  }
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take([...event.clipboardData.files]);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take([...event.dataTransfer.files]);
  });
}

export async function ask(path, options, attempts = 5) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer.\nCheck that it runs, and try again.");
  }
  if (response.status === 503 && attempts > 1) { // it is busy, and says for how long
    await new Promise((done) => setTimeout(done, 1000 * (Number(response.headers.get("Retry-After")) || 1)));
    return ask(path, options, attempts - 1);
  }
  const body = await response.json();
  if (!response.ok) throw Object.assign(new Error(lines(body.error)), { status: response.status, body });
  return body;
}

export const lines = ({ what, expected, fix }) => `${what}\nExpected ${expected}\nFix: ${fix}`;
export const askJson = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
