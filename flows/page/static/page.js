"use strict";
// Texts and labels reach the page as textContent alone, never as HTML.

const $ = (id) => document.getElementById(id);
const SHOWN_WORDS = 8, SHOWN_EXAMPLES = 10, EXCERPT = 300, POLL_MS = 600;
let model = null;
let questions = 0; // a late answer to an earlier text is not shown
let table = null; // the chosen file

function make(tag, className, text, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const points = (effect) => `${effect < 0 ? "\u2212" : "+"}${Math.abs(100 * effect).toFixed(1)}`;
const duration = (s) => (s < 0.0995 ? `${(1000 * s).toFixed(1)} ms` : s < 1 ? `${Math.round(1000 * s)} ms` : `${s.toFixed(1)} s`);

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is `stillhouse try` still running?");
  }
  if (!response.ok) {
    const found = await response.json().catch(() => ({}));
    throw new Error(found.error || `The server answered with status ${response.status}.`);
  }
  return response;
}

const ask = async (path, text) =>
  (await send(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text }) })).json();

// One text

async function answer() {
  const number = ++questions, text = $("text").value;
  $("question-problem").textContent = "";
  try {
    await started;
    const found = await ask("/api/answer", text);
    if (number !== questions) return;
    const sure = found.deferred ? `deferred, below the threshold of ${percent(model.min_confidence)}` : "";
    showAnswer($("student"), "Student", found, sure);
    showWords(found);
    if (model.teacher) await askTeacher(text, number);
  } catch (error) {
    if (number === questions) fail(error);
  }
}

function fail(error) {
  $("question-problem").textContent = error.message;
  for (const id of ["student", "teacher", "words"]) $(id).hidden = true;
}

async function askTeacher(text, number) {
  const card = $("teacher");
  try {
    for (;;) {
      const found = await ask("/api/teacher", text);
      if (number !== questions) return;
      if (!found.loading) return showAnswer(card, "Teacher", found, "");
      showMessage(card, "Teacher", "Loading the teacher …");
      await new Promise((done) => setTimeout(done, POLL_MS));
      if (number !== questions) return;
    }
  } catch (error) {
    if (number === questions) showMessage(card, "Teacher", error.message);
  }
}

function showMessage(card, who, message) {
  card.replaceChildren(make("p", "who", "", make("span", "", who)), make("p", "soft", message));
  card.hidden = false;
}

function showAnswer(card, who, found, note) {
  const bars = make("dl", "bars");
  for (const one of found.classes) {
    const fill = make("div", "fill");
    fill.style.width = percent(one.probability).replace(" ", "");
    const isAnswer = one.label === found.label;
    const track = make("dd", "track", "", fill);
    track.setAttribute("aria-hidden", "true");
    bars.append(make("dt", isAnswer ? "" : "other", one.label), track, make("dd", "share", percent(one.probability)));
  }
  card.replaceChildren(
    make("p", "who", "", make("span", "", who), make("span", "", duration(found.seconds))),
    make("p", "label", found.label),
    make("p", "sure", `${percent(found.probability)} sure${note && `, ${note}`}`),
    bars,
  );
  card.hidden = false;
}

function showWords(found) {
  const words = found.parts.filter((part) => part.effect !== null);
  const largest = Math.max(0.02, ...words.map((part) => Math.abs(part.effect)));
  $("marked").replaceChildren(...found.parts.map((part) => marked(part, largest)));
  const order = [...words].sort((one, other) => Math.abs(other.effect) - Math.abs(one.effect)).slice(0, SHOWN_WORDS);
  $("effects").replaceChildren(
    ...order.map((part) => make("tr", "", "", make("td", "", part.text), make("td", "number", points(part.effect)))),
  );
  $("words-note").textContent =
    `Each of the first ${model.most_words} words is left out once. Its effect is the probability of “${found.label}” ` +
    "minus that without the word. Shaded words speak for the answer, underlined words against it.";
  $("words").hidden = false;
}

function marked(part, largest) {
  if (part.effect === null || Math.abs(part.effect) < 0.0005) return document.createTextNode(part.text);
  const element = make("span", `word ${part.effect > 0 ? "for" : "against"}`, part.text);
  element.style.setProperty("--strength", `${Math.round(8 + (52 * Math.abs(part.effect)) / largest)}%`);
  element.title = `${points(part.effect)} points`;
  return element;
}

// Many texts

async function many(work) {
  $("many-problem").textContent = "";
  $("many-state").textContent = "At work …";
  try {
    $("many-state").textContent = await work();
  } catch (error) {
    $("many-state").textContent = "";
    $("many-problem").textContent = error.message;
  }
}

function checkSize(bytes) {
  if (bytes <= model.most_bytes) return;
  throw new Error(`This is more than ${model.most_bytes / 2 ** 20} MB. Use \`stillhouse score\` for large tables.`);
}

async function download(path, body, name) {
  const response = await send(path, { method: "POST", body });
  const link = make("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  return `${name} is downloaded.`;
}

function labelLines(event) {
  event.preventDefault();
  return many(() => {
    const body = new Blob([$("lines").value]);
    checkSize(body.size);
    return download("/api/lines", body, "labels.csv");
  });
}

function chooseTable(file) {
  table = null;
  $("label-table").disabled = $("choice").hidden = true;
  if (!file) return;
  return many(async () => {
    checkSize(file.size);
    const found = await (await send(`/api/columns?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file })).json();
    $("column").replaceChildren(...found.columns.map((name) => new Option(name, name, false, name === found.choose)));
    $("label-table").disabled = $("choice").hidden = false;
    table = file;
    return `${file.name}: ${found.rows.toLocaleString("en")} rows.`;
  });
}

function labelTable(event) {
  event.preventDefault();
  if (!table) return;
  const query = new URLSearchParams({ name: table.name, column: $("column").value });
  return many(() => download(`/api/table?${query}`, table, `${table.name.replace(/\.[^.]*$/, "")}-labels.csv`));
}

function drop(event) {
  event.preventDefault();
  $("drop").classList.remove("over");
  $("file").files = event.dataTransfer.files; // the input shows the name
  return chooseTable(event.dataTransfer.files[0]);
}

// Test texts with a wrong answer

async function showMistakes() {
  const found = await (await send("/api/mistakes")).json();
  $("wrong-note").textContent =
    `${found.wrong.toLocaleString("en")} of ${found.texts.toLocaleString("en")} test texts, the surest answers first. ` +
    "Choose one to see why.";
  const items = found.examples.map(example);
  const show = (count) => $("examples").replaceChildren(...items.slice(0, count));
  show(SHOWN_EXAMPLES);
  $("more").textContent = `Show all ${items.length}`;
  $("more").hidden = items.length <= SHOWN_EXAMPLES;
  $("more").onclick = () => { show(items.length); $("more").hidden = true; items[SHOWN_EXAMPLES].firstChild.focus(); };
  $("wrong").hidden = false;
}

function example(one) {
  const facts = make("span", "facts", "");
  facts.append("label ", make("b", "", one.label), ", answer ", make("b", "", one.answer), `, ${percent(one.probability)} sure`);
  const button = make("button", "example", "", make("span", "text", one.text.slice(0, EXCERPT)), facts);
  button.type = "button";
  button.onclick = () => {
    $("text").value = one.text;
    $("text").focus();
    $("text").scrollIntoView({ block: "center" });
    answer();
  };
  return make("li", "", "", button);
}

// Start

async function start() {
  model = await (await send("/api/model")).json();
  const least = model.min_confidence ? `defers answers below ${percent(model.min_confidence)}` : "defers no answer";
  $("about").textContent = `${model.name} · ${model.classes.length} classes · ${least}`;
  if (model.mistakes) await showMistakes();
}

$("question").onsubmit = (event) => { event.preventDefault(); answer(); };
$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); answer(); }
};
$("lines-form").onsubmit = labelLines;
$("table-form").onsubmit = labelTable;
$("file").onchange = () => chooseTable($("file").files[0]);
$("drop").ondragover = (event) => { event.preventDefault(); $("drop").classList.add("over"); };
$("drop").ondragleave = () => $("drop").classList.remove("over");
$("drop").ondrop = drop;
const started = start();
started.catch(fail);
