// Gradio runs this when the component appears, with `element`, `trigger`, `props` and `watch`. It takes every
// word in quotes here for the name of an event, so the names of properties must not stand in quotes.

const find = (selector) => element.querySelector(selector);
const [stage, picture, overlay] = [".canvas-stage", ".canvas-picture", ".canvas-overlay"].map(find);
const [prompts, said, legend] = [".canvas-prompts", ".canvas-said", ".canvas-legend"].map(find);
const tools = [...element.querySelectorAll("[data-tool]")];
const [opacity, contours, help] = [".canvas-opacity", ".canvas-contours", ".canvas-help"].map(find);

const PLAIN = { key: "", width: 0, height: 0, volume: false, points: [], box: null, layers: [] };
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TOOLS = { p: "positive", n: "negative", b: "box" };
const DRAG = 4; // CSS pixels from which a press is no click
const NOTCH = 50; // of a wheel's movement, in CSS pixels
const LINE = 33; // CSS pixels of a line, for browsers whose wheels count lines

// By the component's id: what it last showed, for when Gradio removes a hidden one and makes it anew.
const pages = (globalThis.promptCanvases ??= {});
const kept = (pages[element.parentElement.closest("[id]").id] ??= { turned: 0, look: [45, true] });

const state = { ...PLAIN, tool: "positive", past: [] };
// What is under way: a pointer's `press`, a box's first `corner` and present `edge`, the keyboard's `cross`.
const hand = { press: null, corner: null, edge: null, cross: null, wheel: 0 };

// Drawing

function fitted(layer) {
  const { width, height } = layer.getBoundingClientRect();
  const unit = devicePixelRatio;
  const size = [width, height].map((length) => Math.max(1, Math.round(length * unit)));
  [layer.width, layer.height] = size; // clears it, too
  return { context: layer.getContext("2d"), scale: [size[0] / state.width, size[1] / state.height], unit };
}

function drawAll() {
  const enlarged = picture.getBoundingClientRect().width * devicePixelRatio > state.width;
  picture.classList.toggle("canvas-enlarged", enlarged);
  drawOverlay();
  drawPrompts();
}

function drawOverlay() {
  if (!state.key) return;
  const { context, scale, unit } = fitted(overlay);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = opacity.value / 100;
  for (const { fill } of state.layers) {
    if (fill) context.drawImage(fill, 0, 0, overlay.width, overlay.height);
  }
  context.globalAlpha = 1;
  if (!contours.checked) return;
  const centre = new DOMMatrix().scale(...scale).translate(0.5, 0.5);
  for (const { path, colour } of state.layers) {
    const line = new Path2D();
    line.addPath(path, centre);
    cased(context, line, colour, 1.5 * unit);
  }
}

function cased(context, line, colour, width) {
  context.lineJoin = "round";
  context.setLineDash([]);
  context.lineWidth = 2 * width;
  context.strokeStyle = "rgb(0 0 0 / 60%)";
  context.stroke(line);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke(line);
}

function drawPrompts() {
  if (!state.key) return;
  const { context, scale, unit } = fitted(prompts);
  const box = hand.edge ? sorted(hand.corner, hand.edge) : state.box;
  if (box) drawBox(context, scale, unit, box);
  if (hand.corner) drawCross(context, scale, unit, hand.corner, 9 * unit);
  for (const point of state.points) drawPoint(context, scale, unit, point);
  if (hand.cross) drawCross(context, scale, unit, hand.cross, prompts.width + prompts.height);
}

const within = (value, least, most) => Math.min(most, Math.max(least, value));

// Half a line inside the picture, so that one along its border is seen whole.
function drawBox(context, [across, down], unit, [x0, y0, x1, y1]) {
  const [left, right] = [x0 * across, (x1 + 1) * across].map((x) => within(x, unit, prompts.width - unit));
  const [top, bottom] = [y0 * down, (y1 + 1) * down].map((y) => within(y, unit, prompts.height - unit));
  const line = new Path2D();
  line.rect(left, top, right - left, bottom - top);
  cased(context, line, "rgb(0 0 0 / 0%)", 2 * unit);
  context.setLineDash([6 * unit, 4 * unit]);
  context.strokeStyle = "#ffffff";
  context.stroke(line);
}

function drawCross(context, [across, down], unit, [x, y], reach) {
  const [left, top] = [(x + 0.5) * across, (y + 0.5) * down];
  const line = new Path2D();
  line.moveTo(left - reach, top);
  line.lineTo(left + reach, top);
  line.moveTo(left, top - reach);
  line.lineTo(left, top + reach);
  cased(context, line, "#ffffff", unit);
}

// Green, round, with a plus; red, square, with a minus.
function drawPoint(context, [across, down], unit, [x, y, positive]) {
  const [left, top, radius] = [(x + 0.5) * across, (y + 0.5) * down, 7 * unit];
  const shape = new Path2D();
  if (positive) shape.arc(left, top, radius, 0, 2 * Math.PI);
  else shape.rect(left - radius, top - radius, 2 * radius, 2 * radius);
  cased(context, shape, "#ffffff", 2 * unit);
  context.fillStyle = positive ? "#15803d" : "#b91c1c";
  context.fill(shape);
  const sign = new Path2D();
  sign.rect(left - 4 * unit, top - unit, 8 * unit, 2 * unit);
  if (positive) sign.rect(left - unit, top - 4 * unit, 2 * unit, 8 * unit);
  context.fillStyle = "#ffffff";
  context.fill(sign);
}

// What a person gives

const clamped = ([x, y]) => [within(x, 0, state.width - 1), within(y, 0, state.height - 1)];
const sorted = ([x0, y0], [x1, y1]) =>
  [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];

function pixel(event) {
  const { left, top, width, height } = picture.getBoundingClientRect();
  const x = Math.floor(((event.clientX - left) / width) * state.width);
  const y = Math.floor(((event.clientY - top) / height) * state.height);
  return clamped([x, y]);
}

function tell() {
  const { points, box, key } = state;
  kept.prompt = { ...kept.prompt, points, box };
  props.value = { points, box, key, turned: kept.turned };
}

function counts() {
  const positive = state.points.filter((point) => point[2]).length;
  return `${positive} positive, ${state.points.length - positive} negative, ${state.box ? "a" : "no"} box.`;
}

const say = (text) => (said.textContent = text);

function change(points, box, text) {
  state.past.push([state.points, state.box]);
  replace(points, box, text);
}

function replace(points, box, text) {
  [state.points, state.box] = [points, box];
  tell();
  letGo();
  say(`${text} ${counts()}`);
  trigger("input");
}

function letGo() {
  [hand.press, hand.corner, hand.edge] = [null, null, null];
  drawPrompts();
}

function setPoint([x, y], positive) {
  const text = `${positive ? "Positive" : "Negative"} point at ${x}, ${y}.`;
  change([...state.points, [x, y, positive ? 1 : 0]], state.box, text);
}

function setBox(from, to) {
  const box = sorted(from, to);
  change(state.points, box, `Box from ${box[0]}, ${box[1]} to ${box[2]}, ${box[3]}.`);
}

// Both corners of a box are set this way when it is not dragged.
function setCorner(at) {
  if (hand.corner) return setBox(hand.corner, at);
  [hand.corner, hand.edge] = [at, null];
  say(`First corner at ${at[0]}, ${at[1]}. Now the opposite one.`);
  drawPrompts();
}

function setTool(tool) {
  state.tool = tool;
  for (const button of tools) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  prompts.classList.toggle("canvas-dragged", tool === "box"); // no scrolling by touch
  letGo();
}

function undo() {
  if (hand.corner) letGo();
  else if (state.past.length) replace(...state.past.pop(), "Undone.");
  else say("Nothing to undo.");
}

function clear() {
  if (hand.corner) letGo();
  else if (state.points.length || state.box) change([], null, "Cleared.");
  else say("Nothing to clear.");
}

function turn(by) {
  kept.turned += by;
  tell();
  trigger("slice", { by });
}

// Pointers

prompts.addEventListener("pointerdown", (event) => {
  if (!state.key || !event.isPrimary || event.button === 1) return;
  prompts.setPointerCapture(event.pointerId);
  const negative = event.button === 2 || event.shiftKey || state.tool === "negative";
  const boxed = state.tool === "box" && !negative;
  hand.press = { at: pixel(event), left: event.clientX, top: event.clientY, negative, boxed, dragged: false };
  hand.cross = null;
});

prompts.addEventListener("pointermove", (event) => {
  const press = hand.press;
  if (press?.boxed) {
    const moved = Math.hypot(event.clientX - press.left, event.clientY - press.top);
    press.dragged ||= moved >= DRAG;
    if (press.dragged) [hand.corner, hand.edge] = [press.at, pixel(event)];
  } else if (hand.corner) hand.edge = pixel(event);
  if (hand.edge) drawPrompts();
});

prompts.addEventListener("pointerup", (event) => {
  const press = hand.press;
  hand.press = null;
  if (!press) return;
  if (!press.boxed) setPoint(press.at, !press.negative);
  else if (press.dragged) setBox(press.at, pixel(event));
  else setCorner(press.at);
});

prompts.addEventListener("pointercancel", letGo);
prompts.addEventListener("contextmenu", (event) => event.preventDefault());

prompts.addEventListener("wheel", (event) => {
  if (!state.volume || !event.ctrlKey) return;
  event.preventDefault();
  const moved = event.deltaY || event.deltaX; // with Shift it is the other one
  hand.wheel += event.deltaMode ? moved * LINE : moved;
  if (Math.abs(hand.wheel) < NOTCH) return;
  turn(Math.sign(hand.wheel) * (event.shiftKey ? 10 : 1));
  hand.wheel = 0;
}, { passive: false });

// Keys

function onPicture(event) {
  const by = event.shiftKey ? 10 : 1;
  if (event.key in STEPS) return () => moveCross(STEPS[event.key].map((step) => step * by));
  if ((event.key === "Enter" || event.key === " ") && !event.repeat) return setAtCross;
  if (state.volume && event.key === "PageUp") return () => turn(-by);
  if (state.volume && event.key === "PageDown") return () => turn(by);
  return null;
}

function anywhere(event) {
  const key = event.key.toLowerCase();
  if (key in TOOLS) return () => setTool(TOOLS[key]);
  return { u: undo, c: clear, escape: clear }[key] ?? null;
}

function moveCross([across, down]) {
  const [x, y] = cross();
  hand.cross = clamped([x + across, y + down]);
  if (hand.corner) hand.edge = hand.cross;
  say(`${hand.cross[0]}, ${hand.cross[1]}`);
  drawPrompts();
}

function setAtCross() {
  hand.cross = cross();
  if (state.tool === "box") setCorner(hand.cross);
  else setPoint(hand.cross, state.tool === "positive");
}

const cross = () => hand.cross ?? [state.width >> 1, state.height >> 1];

element.addEventListener("keydown", (event) => {
  if (!state.key || event.altKey) return;
  const held = event.ctrlKey || event.metaKey;
  const undone = held && event.key.toLowerCase() === "z" ? undo : null;
  const plain = held ? null : ((event.target === prompts && onPicture(event)) || anywhere(event));
  const act = undone ?? plain;
  if (!act) return;
  event.preventDefault();
  act();
});

// What the server shows

async function decoded(png) {
  const image = new Image();
  image.src = png;
  await image.decode();
  return image;
}

async function showPicture({ png, width, height, aspect, key, volume }) {
  const image = await decoded(png);
  Object.assign(state, PLAIN, { key, width, height, volume, past: [] });
  hand.cross = null;
  stage.style.setProperty("--ratio", width / (height * aspect));
  element.classList.add("canvas-filled");
  [picture.width, picture.height] = [width, height];
  picture.getContext("2d").drawImage(image, 0, 0);
  showLayers([]);
  showPrompt({ points: [] });
  say("");
  drawAll();
}

function showPrompt({ points, box }) {
  if (!state.key) return;
  const [before, after] = [[state.points, state.box], [points, box ?? null]];
  if (JSON.stringify(before) !== JSON.stringify(after)) state.past.push(before);
  [state.points, state.box] = after;
  tell();
  letGo();
}

async function showOverlay({ layers, key }) {
  if (key && key !== state.key) return;
  showLayers(await Promise.all(layers.map(made)));
}

function showLayers(layers) {
  state.layers = layers;
  legend.replaceChildren(...layers.map(({ name, colour }) => {
    const item = document.createElement("li");
    const swatch = document.createElement("span");
    swatch.style.backgroundColor = colour;
    item.append(swatch, name);
    return item;
  }));
  drawOverlay();
}

async function made({ path, png, colour, name }) {
  return { path: new Path2D(path), colour, name, fill: png ? coloured(await decoded(png), colour) : null };
}

// A grey mask as the colour where it is white, and nothing elsewhere.
function coloured(mask, colour) {
  const fill = document.createElement("canvas");
  [fill.width, fill.height] = [mask.naturalWidth, mask.naturalHeight];
  const context = fill.getContext("2d", { willReadFrequently: true });
  context.drawImage(mask, 0, 0);
  const image = context.getImageData(0, 0, fill.width, fill.height);
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const words = new Uint32Array(image.data.buffer); // red in the lowest byte, alpha in the highest
  for (let at = 0; at < words.length; at++) words[at] = (words[at] << 24) | (blue << 16) | (green << 8) | red;
  context.putImageData(image, 0, 0);
  return fill;
}

function look() {
  kept.look = [opacity.value, contours.checked];
  drawOverlay();
}

// What is sent anew; with a picture, what lay over the one before is gone.
function take(name) {
  const sent = props[name];
  if (!sent || sent.serial === kept[name]?.serial) return;
  if (readers[name] === showPicture) [kept.prompt, kept.overlay] = [];
  kept[name] = JSON.parse(JSON.stringify(sent));
}

// One after the other, because decoding takes time: a mask must not come before its picture.
const readers = { picture: showPicture, prompt: showPrompt, overlay: showOverlay };
let last = Promise.resolve();
for (const [name, reader] of Object.entries(readers)) {
  const update = () => {
    take(name);
    const sent = kept[name];
    if (sent) last = last.then(() => reader(sent)).catch((error) => say(`It could not be drawn: ${error}`));
  };
  watch(name, update);
  update();
}

for (const button of tools) button.addEventListener("click", () => setTool(button.dataset.tool));
find("[data-act=undo]").addEventListener("click", undo);
find("[data-act=clear]").addEventListener("click", clear);
[opacity.value, contours.checked] = kept.look;
opacity.addEventListener("input", look);
contours.addEventListener("change", look);
find(".canvas-tools").setAttribute("aria-label", `Tools: ${props.label}`);
prompts.setAttribute("aria-label", props.label);
help.id = `${element.id}-help`;
prompts.setAttribute("aria-describedby", help.id);
new ResizeObserver(drawAll).observe(stage);
