// The mask editor. Marks are a list of operations; undoing is painting all but the last one again.
"use strict";

const LIT = "#e23d9b";
const MAX_ZOOM = 12; // of picture pixels, or 8 times the whole picture if that is more
const MIN_BRUSH = 2; // pixels of the picture
const at = (id) => document.getElementById(id);
const words = JSON.parse(document.body.dataset.words); // the page's sentences in its language, by the English ones
const t = (english, values = {}) => (words[english] || english).replace(/\{(\w+)\}/g, (_, name) => values[name]);
const view = at("view");
const screen = view.getContext("2d");
const picture = new Image();
const mask = document.createElement("canvas"); // marked = opaque, as large as the picture
const ink = mask.getContext("2d", { willReadFrequently: true });

let ops = [];
let undone = [];
let draft = null; // the operation being drawn
let tool = "brush";
let scale = 1; // screen pixels of one picture pixel
let origin = { x: 0, y: 0 }; // where the picture's corner is on the screen, in CSS pixels
let fitted = true; // the whole picture is shown, and stays so when the window changes
let cursor = null; // of mouse or keys, in picture pixels
let byKeys = false;
let sent = false;
let asked = ""; // what was asked about because it is dear: prompt and number of changes

// ---------------------------------------------------------------- operations
function apply(context, op) {
  context.globalCompositeOperation = op.erase ? "destination-out" : "source-over";
  context.fillStyle = context.strokeStyle = LIT;
  context.lineCap = context.lineJoin = "round";
  if (op.kind === "stroke") stroke(context, op);
  if (op.kind === "rect") context.fillRect(op.x, op.y, op.w, op.h);
  if (op.kind === "lasso") {
    trace(context, op.points);
    context.fill();
  }
  if (op.kind === "clear") context.clearRect(0, 0, mask.width, mask.height);
  if (op.kind === "invert") {
    context.globalCompositeOperation = "xor";
    context.fillRect(0, 0, mask.width, mask.height);
  }
  context.globalCompositeOperation = "source-over";
}

function stroke(context, op) {
  context.lineWidth = op.size;
  if (op.points.length === 1) {
    context.beginPath();
    context.arc(op.points[0].x, op.points[0].y, op.size / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  trace(context, op.points);
  context.stroke();
}

function trace(context, points) {
  context.beginPath();
  points.forEach((point, n) => (n ? context.lineTo(point.x, point.y) : context.moveTo(point.x, point.y)));
}

function repaint() {
  ink.clearRect(0, 0, mask.width, mask.height);
  ops.forEach((op) => apply(ink, op));
}

function commit(op) {
  ops.push(op);
  undone = [];
  apply(ink, op);
  changed();
}

function undo() {
  if (draft) return giveUp();
  if (!ops.length) return;
  undone.push(ops.pop());
  repaint();
  changed();
}

function redo() {
  if (!undone.length) return;
  const op = undone.pop();
  ops.push(op);
  apply(ink, op);
  changed();
}

function share() {
  const small = document.createElement("canvas");
  small.width = small.height = 160;
  const context = small.getContext("2d");
  context.drawImage(mask, 0, 0, 160, 160);
  const data = context.getImageData(0, 0, 160, 160).data;
  let sum = 0;
  for (let n = 3; n < data.length; n += 4) sum += data[n];
  return sum / (255 * 160 * 160);
}

function changed() {
  const part = ops.length ? share() : 0;
  const percent = part * 100;
  at("share").textContent =
    part === 0 ? t("Nothing marked yet")
      : percent < 1 ? t("Less than 1 % marked") : t("{percent} % marked", { percent: Math.round(percent) });
  at("undo").disabled = !ops.length;
  at("redo").disabled = !undone.length;
  at("clear").disabled = part === 0;
  at("send").disabled = part === 0 || !at("prompt").value.trim() || sent;
  draw();
}

// ---------------------------------------------------------------- showing
let waiting = false;
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    paint();
  });
}

function paint() {
  const ratio = window.devicePixelRatio || 1;
  screen.setTransform(1, 0, 0, 1, 0, 0);
  screen.clearRect(0, 0, view.width, view.height);
  if (!picture.naturalWidth) return;
  screen.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * origin.x, ratio * origin.y);
  screen.imageSmoothingEnabled = scale < 8;
  screen.drawImage(picture, 0, 0, mask.width, mask.height);
  paintMarks(ratio);
  screen.lineWidth = 1.5 / scale;
  if (draft) outline(draft);
  if (cursor && (byKeys || tool !== "move")) ring();
}

// Marks are striped and have a light rim, so that they are seen on any picture, pink ones too.
const stripes = document.createElement("canvas");
const fill = document.createElement("canvas"); // both as large as the view
const rim = document.createElement("canvas");

function paintMarks(ratio) {
  const source = shownMask();
  const place = [ratio * scale, 0, 0, ratio * scale, ratio * origin.x, ratio * origin.y];
  const inside = fill.getContext("2d");
  const around = rim.getContext("2d");
  for (const context of [inside, around]) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalCompositeOperation = "source-over";
    context.clearRect(0, 0, view.width, view.height);
    context.imageSmoothingEnabled = scale < 8;
  }
  inside.setTransform(...place);
  inside.drawImage(source, 0, 0);
  inside.setTransform(1, 0, 0, 1, 0, 0);
  const width = 1.5 * ratio;
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1], [0.7, 0.7], [-0.7, 0.7], [0.7, -0.7], [-0.7, -0.7]]) {
    around.drawImage(fill, dx * width, dy * width);
  }
  around.globalCompositeOperation = "destination-out";
  around.drawImage(fill, 0, 0);
  around.globalCompositeOperation = "source-in";
  around.fillStyle = "#fff";
  around.fillRect(0, 0, view.width, view.height);
  inside.globalCompositeOperation = "source-in";
  inside.fillStyle = inside.createPattern(stripes, "repeat");
  inside.fillRect(0, 0, view.width, view.height);
  screen.setTransform(1, 0, 0, 1, 0, 0);
  screen.globalAlpha = 0.6;
  screen.drawImage(fill, 0, 0);
  screen.globalAlpha = 0.9;
  screen.drawImage(rim, 0, 0);
  screen.globalAlpha = 1;
  screen.setTransform(...place);
}

function makeStripes() {
  const side = Math.round(16 * (window.devicePixelRatio || 1));
  stripes.width = stripes.height = side;
  const context = stripes.getContext("2d");
  context.fillStyle = LIT;
  context.fillRect(0, 0, side, side);
  context.strokeStyle = "#8d1259";
  context.lineWidth = side / 4;
  for (const shift of [-side, 0, side]) {
    context.beginPath();
    context.moveTo(shift - side / 2, side * 1.5);
    context.lineTo(shift + side * 1.5, -side / 2);
    context.stroke();
  }
}

const layer = document.createElement("canvas");
function shownMask() {
  if (!draft) return mask;
  const context = layer.getContext("2d");
  context.clearRect(0, 0, layer.width, layer.height);
  context.drawImage(mask, 0, 0);
  apply(context, draft);
  return layer;
}

function outline(op) {
  if (op.kind === "stroke") return;
  screen.strokeStyle = "#fff";
  if (op.kind === "rect") screen.strokeRect(op.x, op.y, op.w, op.h);
  if (op.kind === "lasso") {
    trace(screen, op.points);
    screen.stroke();
  }
}

function ring() {
  const round = tool === "brush" || tool === "eraser";
  const radius = round ? brush() / 2 : 7 / scale;
  for (const [colour, width] of [["#000", 3.5], ["#fff", 1.5]]) {
    screen.strokeStyle = colour;
    screen.lineWidth = width / scale;
    screen.beginPath();
    if (round) screen.arc(cursor.x, cursor.y, radius, 0, 2 * Math.PI);
    if (!round || byKeys) {
      const arm = 7 / scale;
      screen.moveTo(cursor.x - arm, cursor.y);
      screen.lineTo(cursor.x + arm, cursor.y);
      screen.moveTo(cursor.x, cursor.y - arm);
      screen.lineTo(cursor.x, cursor.y + arm);
    }
    screen.stroke();
  }
}

function brush() {
  const largest = Math.max(MIN_BRUSH + 1, Math.min(mask.width, mask.height) / 2);
  return MIN_BRUSH * Math.pow(largest / MIN_BRUSH, Number(at("size").value) / 100);
}

function showBrush() {
  const px = Math.round(brush());
  at("size-px").textContent = `${px} px`;
  at("size").setAttribute("aria-valuetext", t("{size} pixels", { size: px }));
  draw();
}

// ---------------------------------------------------------------- zoom
function fitScale() {
  const room = 24;
  return Math.min((view.clientWidth - room) / mask.width, (view.clientHeight - room) / mask.height);
}

function fit() {
  fitted = true;
  scale = fitScale();
  origin.x = (view.clientWidth - mask.width * scale) / 2;
  origin.y = (view.clientHeight - mask.height * scale) / 2;
  zoomed();
}

function zoom(factor, centre = { x: view.clientWidth / 2, y: view.clientHeight / 2 }) {
  const least = Math.min(fitScale(), 1) / 2;
  const next = Math.max(least, Math.min(Math.max(MAX_ZOOM, 8 * fitScale()), scale * factor));
  origin.x = centre.x - ((centre.x - origin.x) * next) / scale;
  origin.y = centre.y - ((centre.y - origin.y) * next) / scale;
  scale = next;
  fitted = false;
  zoomed();
}

function pan(dx, dy) {
  const keep = 40; // pixels of the picture stay in sight
  origin.x = Math.max(keep - mask.width * scale, Math.min(view.clientWidth - keep, origin.x + dx));
  origin.y = Math.max(keep - mask.height * scale, Math.min(view.clientHeight - keep, origin.y + dy));
  fitted = false;
  draw();
}

function zoomed() {
  at("zoom-fit").textContent = `${Math.round((100 * scale) / fitScale())}%`;
  draw();
}

function resize() {
  const ratio = window.devicePixelRatio || 1;
  for (const canvas of [view, fill, rim]) {
    canvas.width = Math.max(1, Math.round(view.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(view.clientHeight * ratio));
  }
  makeStripes();
  if (!picture.naturalWidth) return;
  if (fitted) fit();
  else pan(0, 0);
}

// ---------------------------------------------------------------- pointers
const pointers = new Map();
let pinch = null;
let panning = false;

function spot(event) {
  const box = view.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function inPicture(point) {
  return { x: (point.x - origin.x) / scale, y: (point.y - origin.y) / scale };
}

function begin(point, erase) {
  if (tool === "brush" || tool === "eraser") {
    draft = { kind: "stroke", erase: tool === "eraser" || erase, size: brush(), points: [point] };
  } else if (tool === "rect") {
    draft = { kind: "rect", erase, x: point.x, y: point.y, w: 0, h: 0 };
  } else if (tool === "lasso") {
    draft = { kind: "lasso", erase, points: [point] };
  }
}

function extend(point) {
  if (!draft) return;
  if (draft.kind === "rect") {
    draft.w = point.x - draft.x;
    draft.h = point.y - draft.y;
    return;
  }
  const last = draft.points[draft.points.length - 1];
  if (Math.hypot(point.x - last.x, point.y - last.y) * scale >= 1) draft.points.push(point);
}

function end() {
  const op = draft;
  draft = null;
  if (!op) return;
  const empty = (op.kind === "rect" && (!op.w || !op.h)) || (op.kind === "lasso" && op.points.length < 3);
  if (empty) draw();
  else commit(op);
}

function giveUp() {
  draft = null;
  draw();
}

view.addEventListener("pointerdown", (event) => {
  if (sent || !mask.width) return;
  if (event.pointerType !== "mouse") event.preventDefault();
  view.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, spot(event));
  byKeys = false;
  if (pointers.size === 2) {
    giveUp();
    pinch = twoFingers();
    return;
  }
  if (pointers.size > 2) return;
  panning = tool === "move" || event.button === 1 || event.button === 2;
  if (!panning) begin(inPicture(spot(event)), event.altKey);
  cursor = inPicture(spot(event));
  draw();
});

view.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (before) pointers.set(event.pointerId, spot(event));
  if (pinch && pointers.size === 2) return pinched();
  if (before && panning) return pan(spot(event).x - before.x, spot(event).y - before.y);
  if (event.pointerType === "mouse" || event.pointerType === "pen" || before) cursor = inPicture(spot(event));
  byKeys = false;
  if (before && !pinch) {
    const steps = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    (steps.length ? steps : [event]).forEach((step) => extend(inPicture(spot(step))));
  }
  draw();
});

function lifted(event) {
  if (!pointers.delete(event.pointerId)) return;
  if (event.pointerType === "touch") cursor = null;
  if (pointers.size === 0) {
    if (event.type === "pointercancel" || pinch) giveUp();
    else end();
    pinch = null;
    panning = false;
  }
  draw();
}
view.addEventListener("pointerup", lifted);
view.addEventListener("pointercancel", lifted);
view.addEventListener("pointerleave", () => {
  if (!pointers.size && !byKeys) cursor = null;
  draw();
});
view.addEventListener("contextmenu", (event) => event.preventDefault());
view.addEventListener("wheel", (event) => {
  event.preventDefault();
  const step = event.deltaMode === 1 ? 16 : 1;
  zoom(Math.exp(-Math.max(-80, Math.min(80, event.deltaY * step)) / 300), spot(event));
}, { passive: false });

function twoFingers() {
  const [a, b] = [...pointers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) };
}

function pinched() {
  const now = twoFingers();
  pan(now.x - pinch.x, now.y - pinch.y);
  zoom(now.apart / pinch.apart, now);
  pinch = now;
}

// ---------------------------------------------------------------- keys
const TOOLS = { b: "brush", e: "eraser", r: "rect", l: "lasso", m: "move" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function choose(name, focus = false) {
  if (draft) giveUp();
  tool = name;
  for (const button of document.querySelectorAll("[data-tool]")) {
    const on = button.dataset.tool === name;
    button.setAttribute("aria-checked", String(on));
    button.tabIndex = on ? 0 : -1;
    if (on && focus) button.focus();
  }
  view.classList.toggle("moves", name === "move");
  draw();
}

function resizeBrush(by) {
  at("size").value = Number(at("size").value) + by;
  showBrush();
}

document.addEventListener("keydown", (event) => {
  if (at("help").open || sent) return;
  const typing = event.target instanceof HTMLTextAreaElement;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((event.ctrlKey || event.metaKey) && !typing && (key === "z" || key === "y")) {
    event.preventDefault();
    if (key === "y" || event.shiftKey) redo();
    else undo();
    return;
  }
  if (typing || event.ctrlKey || event.metaKey) return;
  if (event.target === view && onView(event, key)) event.preventDefault();
  else if (shortcut(key)) event.preventDefault();
});

function shortcut(key) {
  const acts = {
    "[": () => resizeBrush(-4), "]": () => resizeBrush(4), i: () => commit({ kind: "invert" }),
    Delete: () => at("clear").click(), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
    0: fit, "?": () => at("help").showModal(), Escape: giveUp,
  };
  if (TOOLS[key]) choose(TOOLS[key]);
  else if (acts[key]) acts[key]();
  else return false;
  return true;
}

function onView(event, key) {
  if (ARROWS[key]) {
    moveCursor(...ARROWS[key], event.shiftKey ? 8 : 1);
    return true;
  }
  if (key === " ") {
    if (!event.repeat) pressSpace(event.altKey);
    return true;
  }
  if (key === "Enter" && draft) {
    end();
    return true;
  }
  return false;
}

function moveCursor(dx, dy, times) {
  byKeys = true;
  const from = cursor || { x: mask.width / 2, y: mask.height / 2 };
  const step = (Math.max(mask.width, mask.height) / 100) * times;
  cursor = {
    x: Math.max(0, Math.min(mask.width, from.x + dx * step)),
    y: Math.max(0, Math.min(mask.height, from.y + dy * step)),
  };
  if (draft && draft.kind !== "lasso") extend(cursor);
  draw();
}

function pressSpace(erase) {
  byKeys = true;
  cursor = cursor || { x: mask.width / 2, y: mask.height / 2 };
  if (!draft) begin({ ...cursor }, erase);
  else if (draft.kind === "rect") end();
  else extend({ ...cursor });
  draw();
}

view.addEventListener("keyup", (event) => {
  if (event.key === " " && draft && draft.kind === "stroke") end();
});
view.addEventListener("blur", () => {
  if (byKeys) {
    end();
    cursor = null;
    byKeys = false;
    draw();
  }
});
document.querySelector(".tools").addEventListener("keydown", (event) => {
  const names = Object.values(TOOLS);
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  choose(names[(names.indexOf(tool) + by + names.length) % names.length], true);
});

// ---------------------------------------------------------------- buttons
document.querySelectorAll("[data-tool]").forEach((button) =>
  button.addEventListener("click", () => choose(button.dataset.tool)));
at("undo").addEventListener("click", undo);
at("redo").addEventListener("click", redo);
at("invert").addEventListener("click", () => commit({ kind: "invert" }));
at("clear").addEventListener("click", () => {
  if (!at("clear").disabled) commit({ kind: "clear" });
});
at("zoom-in").addEventListener("click", () => zoom(1.25));
at("zoom-out").addEventListener("click", () => zoom(0.8));
at("zoom-fit").addEventListener("click", fit);
at("help-open").addEventListener("click", () => at("help").showModal());
at("size").addEventListener("input", showBrush);
at("prompt").addEventListener("input", changed);
window.addEventListener("beforeunload", (event) => {
  if (ops.length && !sent) event.preventDefault();
});

// ---------------------------------------------------------------- sending
function blackAndWhite() {
  const out = document.createElement("canvas");
  out.width = mask.width;
  out.height = mask.height;
  const context = out.getContext("2d");
  const image = ink.getImageData(0, 0, mask.width, mask.height);
  for (let n = 0; n < image.data.length; n += 4) {
    image.data[n] = image.data[n + 1] = image.data[n + 2] = image.data[n + 3] >= 128 ? 255 : 0;
    image.data[n + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return new Promise((resolve) => out.toBlob(resolve, "image/png"));
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (at("send").disabled) return;
  at("said").textContent = "";
  at("send").disabled = true;
  at("send").textContent = t("Sending …");
  try {
    const body = new FormData();
    body.append("mask", await blackAndWhite(), "mask.png");
    body.append("prompt", at("prompt").value);
    body.append("agreed", asked === question() ? "yes" : "no");
    const answer = await fetch(location.pathname, { method: "POST", body, credentials: "omit" });
    await answered(answer);
  } catch {
    at("said").textContent = t("Easel could not be reached. Your marks are still here: try again.");
  }
  at("send").textContent = t("Paint");
  changed();
});

function question() {
  return `${ops.length} ${undone.length} ${at("prompt").value}`;
}

async function answered(answer) {
  if (answer.status === 404) {
    at("said").textContent =
      t("This link was used already, or its hour is over. Open a new one in Discord with Vary (Region).");
    return;
  }
  const { said } = await answer.json();
  asked = answer.status === 409 ? question() : "";
  if (!answer.ok) {
    at("said").textContent = said;
    return;
  }
  sent = true;
  at("done-text").textContent = said;
  at("done").hidden = false;
  at("done").focus();
}

// ---------------------------------------------------------------- beginning
picture.addEventListener("load", () => {
  mask.width = layer.width = picture.naturalWidth;
  mask.height = layer.height = picture.naturalHeight;
  resize();
  fit();
  showBrush();
  changed();
  document.body.dataset.ready = "yes";
});
picture.addEventListener("error", () => {
  at("said").textContent = t("The picture could not be loaded. Load this page again.");
});
new ResizeObserver(resize).observe(view);
choose("brush");
picture.src = `${location.pathname}/picture`;
