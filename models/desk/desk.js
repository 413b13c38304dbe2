// The desk's page: sliders on the left, one shot in several developments in the middle, figures on the right.
// Settings live here; the server keeps none. A slot (A, B) is {settings, rig}, both by the parameter's name.

const $ = (selector) => document.querySelector(selector);
const make = (tag, about = {}, ...inside) => {
  const node = Object.assign(document.createElement(tag), about);
  node.append(...inside);
  return node;
};
const token = new URLSearchParams(location.search).get("token");
const PANES = ["as shot", "scaled", "default", "tuned", "well-lit"];
const CAPTIONS = {
  "as shot": "as shot", scaled: "mean 0.4", default: "default", tuned: "tuned", "well-lit": "well-lit",
};
const SAYS = {
  "as shot": "the rig's own development, 8 bits", scaled: "the same, each channel brought to a mean of 0.4 (Lee et al.)",
  default: "the ISP's defaults", tuned: "the ISP as the sliders say", "well-lit": "the rig's other arm",
};
const DARK = 0.03; // mean of a picture in which nobody sees anything
const REST_MS = 300; // after the last move the whole picture is asked for
let desk = null;
const state = {
  shot: 0, slot: "A", slots: {}, panes: new Set(PANES), seen: false, found: true, truth: false, heat: false,
  undo: [], redo: [], view: null, patch: null, cursor: null,
};
const panes = {};

// Asking.

async function ask(path, body = {}) {
  const reply = await fetch(`/api/${path}`, {
    method: "POST", headers: { "Content-Type": "application/json", "X-Token": token }, body: JSON.stringify(body),
  });
  if (!reply.ok) throw new Error((await reply.json()).fault);
  return reply;
}

const json = async (path, body) => (await ask(path, body)).json();

function say(words, fault = false) {
  $("#status").textContent = words;
  $("#status").title = words;
  $("#status").classList.toggle("fault", fault);
}

const here = () => state.slots[state.slot];
const where = (small) => ({ shot: state.shot, settings: here().settings, rig: here().rig, small });
const shotNow = () => desk.shots[state.shot];
const copyOf = (value) => JSON.parse(JSON.stringify(value));

// Panes: each asks for one picture at a time; what was asked for meanwhile comes next, only the latest of it.

class Pane {
  constructor(name) {
    this.name = name;
    this.canvas = make("canvas");
    this.caption = make("figcaption");
    this.node = make("div", { className: `pane ${name}` }, this.canvas, this.caption);
    this.asked = 0;
    this.told = make("i");
    this.caption.append(CAPTIONS[name], this.told);
    this.listen();
  }

  load(small) {
    this.wanted = { small, number: ++this.asked };
    this.dragged = small;
    this.busy ??= this.serve().finally(() => { this.busy = null; });
    return this.busy;
  }

  async serve() {
    while (this.wanted) {
      const { small, number } = this.wanted;
      this.wanted = null;
      const began = performance.now();
      try {
        const body = { ...where(small), pane: this.name, seen: state.seen };
        const reply = await ask("picture", body);
        const about = JSON.parse(reply.headers.get("X-About"));
        const image = await createImageBitmap(await reply.blob());
        this.image?.close();
        this.image = image;
        this.about = about;
        this.node.classList.toggle("small", small);
        this.shownAs = number;
        this.caption_();
        draw();
        document.body.dataset.pictures = 1 + Number(document.body.dataset.pictures ?? 0);
        if (this.name === "tuned") {
          this.took = performance.now() - began;
          say(`${small ? "preview" : "whole picture"} in ${this.took.toFixed(0)} ms`);
        }
      } catch (fault) {
        say(fault.message, true);
      }
    }
  }

  caption_() {
    const mean = this.about ? `mean ${(255 * this.about.mean).toFixed(1)}` : "";
    const oks = this.oks === undefined || this.oks === null ? "" : `OKS ${this.oks.toFixed(3)}`;
    this.name === "tuned" && (this.caption.firstChild.textContent = `tuned ${state.slot}`);
    this.told.textContent = [mean, oks].filter(Boolean).join("  ");
  }

  // Picture px → canvas px, the same for all panes but for their sizes.
  transform() {
    const { width, height } = shotNow();
    const fit = Math.min(this.canvas.width / width, this.canvas.height / height);
    const view = state.view ?? { zoom: 1, x: width / 2, y: height / 2 };
    const scale = fit * view.zoom;
    return { scale, left: this.canvas.width / 2 - view.x * scale, top: this.canvas.height / 2 - view.y * scale };
  }

  toPicture(event) {
    const box = this.canvas.getBoundingClientRect(), ratio = this.canvas.width / box.width;
    const { scale, left, top } = this.transform();
    return { x: ((event.clientX - box.left) * ratio - left) / scale, y: ((event.clientY - box.top) * ratio - top) / scale };
  }

  draw() {
    const box = this.node.getBoundingClientRect(), ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d"), shot = shotNow();
    const { scale, left, top } = this.transform();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.setTransform(scale, 0, 0, scale, left, top);
    pen.imageSmoothingEnabled = scale < 2.5;
    pen.imageSmoothingQuality = "high";
    const shown = state.blink && this.name === "tuned" ? panes.default : this;
    if (shown.image) pen.drawImage(shown.image, 0, 0, shot.width, shot.height);
    if (state.heat && this.heat) pen.drawImage(this.heat, 0, 0, shot.width, shot.height);
    if (state.truth) for (const one of shot.people) limbs(pen, one, scale, (joint) => joint[2] > 0, () => "#fff");
    if (state.found) {
      pen.globalAlpha = this.posesStale ? 0.35 : 1;
      for (const one of shown.poses ?? []) limbs(pen, one, scale, (joint) => joint[0] !== null, sideOf);
      pen.globalAlpha = 1;
    }
    if (state.patch) {
      const [x, y, w, h] = state.patch;
      pen.lineWidth = 1.5 / scale;
      pen.strokeStyle = "#ffe15a";
      pen.strokeRect(x, y, w, h);
    }
  }

  listen() {
    const canvas = this.canvas;
    canvas.onwheel = (event) => {
      event.preventDefault();
      const at = this.toPicture(event), { width, height } = shotNow();
      const view = state.view ?? { zoom: 1, x: width / 2, y: height / 2 };
      const zoom = Math.min(64, Math.max(1, view.zoom * 2 ** (-event.deltaY / 240)));
      const by = view.zoom / zoom;
      state.view = zoom === 1 ? null : { zoom, x: at.x + (view.x - at.x) * by, y: at.y + (view.y - at.y) * by };
      draw();
    };
    canvas.ondblclick = () => { state.view = null; draw(); };
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.drag = { at: this.toPicture(event), mark: event.shiftKey, moved: false };
    };
    canvas.onpointermove = (event) => {
      const at = this.toPicture(event);
      state.cursor = at;
      if (this.drag?.mark) state.patch = rectangle(this.drag.at, at);
      else if (this.drag && state.view) {
        state.view = { ...state.view, x: state.view.x + this.drag.at.x - at.x, y: state.view.y + this.drag.at.y - at.y };
      }
      if (this.drag) { this.drag.moved = true; draw(); }
      loupe();
    };
    canvas.onpointerup = () => {
      const drag = this.drag;
      this.drag = null;
      if (drag?.mark) { if (!drag.moved) state.patch = null; draw(); figures(); }
    };
  }
}

function rectangle(a, b) {
  const { width, height } = shotNow(), clip = (v, top) => Math.min(top, Math.max(0, Math.round(v)));
  const [x, y, right, bottom] = [
    clip(Math.min(a.x, b.x), width), clip(Math.min(a.y, b.y), height), clip(Math.max(a.x, b.x), width),
    clip(Math.max(a.y, b.y), height),
  ];
  return [x, y, right - x, bottom - y];
}

function sideOf(a, b) {
  const side = (n) => (n >= 12 ? null : n % 2);
  const one = side(a) ?? side(b);
  if (one === null || (side(a) !== null && side(b) !== null && side(a) !== side(b))) return "#78e678";
  return one === 0 ? "#ff8c28" : "#3caaff";
}

const TRUNK = [[0, 1], [0, 6], [1, 7], [6, 7]]; // of a network that knows no neck
const NECK = 13;

function limbs(pen, joints, scale, known, colour) {
  const bones = known(joints[NECK]) ? desk.skeleton : [...desk.skeleton, ...TRUNK];
  for (const [width, rim] of [[4.5, true], [2.2, false]]) {
    for (const [a, b] of bones) {
      if (!known(joints[a]) || !known(joints[b])) continue;
      pen.lineWidth = width / scale;
      pen.strokeStyle = rim ? "#141414" : colour(a, b);
      pen.beginPath();
      pen.moveTo(joints[a][0] + 0.5, joints[a][1] + 0.5);
      pen.lineTo(joints[b][0] + 0.5, joints[b][1] + 0.5);
      pen.stroke();
    }
  }
}

let drawing = 0;
function draw() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    for (const name of visible()) panes[name].draw();
  });
}

const visible = () => PANES.filter((name) => state.panes.has(name) && (name !== "well-lit" || shotNow().well_lit));

function arrange() {
  const names = visible(), { width, height } = shotNow();
  $("#panes").replaceChildren(...names.map((name) => panes[name].node));
  lenses();
  const box = $("#panes").getBoundingClientRect();
  let best = { side: 0, columns: 1 };
  for (let columns = 1; columns <= names.length; columns++) {
    const rows = Math.ceil(names.length / columns);
    const side = Math.min(box.width / columns / width, box.height / rows / height);
    if (side > best.side) best = { side, columns };
  }
  for (const [n, name] of PANES.entries()) $("#shown").children[n].disabled = name === "well-lit" && !shotNow().well_lit;
  $("#panes").style.gridTemplateColumns = `repeat(${best.columns}, minmax(0, 1fr))`;
  draw();
}

// What follows a move: a preview at once, the whole when it rests, then what takes longer.

let resting = 0;
const MOVED_BY = { settings: ["tuned"], rig: ["tuned", "default", "scaled", "as shot"], all: PANES };

function refresh(what, dragging = false) {
  const names = visible().filter((name) => MOVED_BY[what].includes(name));
  names.sort((a, b) => MOVED_BY[what].indexOf(a) - MOVED_BY[what].indexOf(b));
  refresh.what = refresh.what && refresh.what !== what ? (what === "settings" ? refresh.what : what) : what;
  for (const name of names) panes[name].posesStale = true;
  const { width, height } = shotNow(), small = width * height > desk.preview_px;
  const first = dragging ? names.slice(0, 1) : names; // while it moves, the picture that matters; the others follow
  if (small || dragging) for (const name of first) panes[name].load(small);
  outdated();
  clearTimeout(resting);
  resting = setTimeout(settle, dragging ? REST_MS : 0);
}

async function settle() {
  const previews = visible().map((name) => panes[name]).filter((pane) => pane.busy && pane.dragged);
  if (previews.length) { // on a slow machine they take longer than the rest; it begins when they are there
    await Promise.all(previews.map((pane) => pane.busy));
    clearTimeout(resting);
    resting = setTimeout(settle, REST_MS);
    return;
  }
  const what = refresh.what, names = visible().filter((name) => MOVED_BY[what].includes(name));
  refresh.what = null;
  await Promise.all(names.map((name) => panes[name].load(false)));
  if (refresh.what) return; // moved meanwhile
  await poses(names);
  if (refresh.what) return;
  await figures();
  if (refresh.what) return;
  loupe();
  await heat(names);
  document.body.dataset.settled = 1 + Number(document.body.dataset.settled ?? 0);
}

async function poses(names) {
  const at = state.shot;
  try {
    const found = await json("poses", { ...where(false), panes: names });
    if (at !== state.shot) return;
    for (const [name, { people, oks }] of Object.entries(found)) {
      Object.assign(panes[name], { poses: people, oks, posesStale: false });
      panes[name].caption_();
    }
    draw();
  } catch (fault) {
    say(fault.message, true);
  }
}

// Loupe: the same pixels of every pane, as they are.

const LOUPE_PX = 21;
const probe = make("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });

function loupe() {
  if (!state.cursor) return;
  const names = visible(), { width, height } = shotNow(), half = (LOUPE_PX - 1) / 2;
  const x = Math.floor(state.cursor.x), y = Math.floor(state.cursor.y);
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  $("#place").textContent = `x ${x}, y ${y}`;
  for (const name of names) {
    const { image, lens } = panes[name];
    if (!image) continue;
    const pen = lens.canvas.getContext("2d"), by = image.width / width;
    pen.imageSmoothingEnabled = false;
    pen.fillRect(0, 0, LOUPE_PX, LOUPE_PX);
    pen.drawImage(image, (x - half) * by, (y - half) * by, LOUPE_PX * by, LOUPE_PX * by, 0, 0, LOUPE_PX, LOUPE_PX);
    probe.drawImage(image, Math.floor(x * by), Math.floor(y * by), 1, 1, 0, 0, 1, 1);
    const codes = probe.getImageData(0, 0, 1, 1).data;
    lens.words.replaceChildren(CAPTIONS[name], make("br"), `${codes[0]} ${codes[1]} ${codes[2]}`);
    pen.fillStyle = "#ffe15a"; // ticks about the pixel
    for (const [left, top] of [[half, half - 2], [half, half + 2], [half - 2, half], [half + 2, half]]) pen.fillRect(left, top, 1, 1);
    pen.fillStyle = "#000";
  }
}

function lenses() {
  $("#loupes").replaceChildren(...visible().map((name) => {
    const pane = panes[name];
    pane.lens ??= { canvas: make("canvas", { width: LOUPE_PX, height: LOUPE_PX }), words: make("figcaption", { textContent: CAPTIONS[name] }) };
    return make("figure", {}, pane.lens.canvas, pane.lens.words);
  }));
}

// Figures of what is shown.

async function figures() {
  const names = visible(), at = state.shot;
  const patch = state.patch && Math.min(state.patch[2], state.patch[3]) >= 4 ? state.patch : null;
  try {
    const found = await json("figures", { ...where(false), panes: names, patch, seen: state.seen });
    if (at !== state.shot) return;
    histogram(found.panes.default ?? {}, found.panes.tuned ?? found.panes[names[0]]);
    rows("#levels", ["", "mean R G B", "≤ 0", "≥ 1"], names.map((name) => {
      const one = found.panes[name];
      return [CAPTIONS[name], one.mean.map((v) => (255 * v).toFixed(1)).join(" "), percent(one.below), percent(one.above)];
    }));
    if (!patch) return void ($("#patch").textContent = "shift drag over a picture marks one");
    patchTable(names, found);
  } catch (fault) {
    say(fault.message, true);
  }
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const places = (value, count = 2) => (value === null ? "–" : value.toFixed(count));

function rows(selector, head, lines) {
  const row = (tag, cells) => make("tr", {}, ...cells.map((cell) => make(tag, { textContent: cell })));
  const table = $(selector);
  table.replaceChildren(row("th", head), ...lines.map((line) => row("td", line)));
}

function patchTable(names, found) {
  const table = make("table", { id: "noise" });
  $("#patch").replaceChildren(table);
  rows("#noise", ["codes", "SNR dB", "σ RGB", "chroma", "rows", "corr."], names.map((name) => {
    const one = found.panes[name].patch;
    const sigma = Math.hypot(...one.deviation) / Math.sqrt(3);
    const codes = (value) => places(value, value < 10 ? 2 : value < 100 ? 1 : 0);
    return [CAPTIONS[name], places(one.snr_db, 1), codes(sigma), codes(one.chroma), codes(one.rows), places(one.correlation)];
  }));
  const { colours, mean, deviation } = found.raw;
  const each = [...colours].map((c, n) => `${c} ${mean[n].toFixed(1)} ± ${deviation[n].toFixed(1)}`);
  $("#patch").append(make("p", { className: "note", textContent: `raw, DN above black: ${each.join(", ")}` }));
}

function histogram(before, after) {
  const canvas = $("#histogram"), ratio = devicePixelRatio || 1, { bins, low, high } = desk.histogram;
  Object.assign(canvas, { width: canvas.clientWidth * ratio, height: canvas.clientHeight * ratio });
  const pen = canvas.getContext("2d"), { width, height } = canvas;
  const across = (value) => ((value - low) / (high - low)) * width;
  pen.fillStyle = "#ffffff18";
  pen.fillRect(0, 0, across(0), height);
  pen.fillRect(across(1), 0, width, height);
  const all = [...(before.histogram ?? []), ...after.histogram];
  const top = Math.log1p(Math.max(...all.map((one) => Math.max(...one))));
  const line = (counts, colour, dash) => {
    pen.beginPath();
    pen.setLineDash(dash);
    pen.strokeStyle = colour;
    pen.lineWidth = ratio;
    counts.forEach((count, n) => {
      const y = height - (Math.log1p(count) / top) * (height - 3);
      n ? pen.lineTo(((n + 0.5) / bins) * width, y) : pen.moveTo(0, y);
    });
    pen.stroke();
  };
  (before.histogram ?? []).forEach((counts, c) => line(counts, ["#f6606080", "#5fd36a80", "#6b9bff80"][c], [2, 3]));
  after.histogram.forEach((counts, c) => line(counts, ["#f66060", "#5fd36a", "#6b9bff"][c], []));
}

// Heatmaps.

async function heat(names) {
  if (!state.heat) return;
  for (const name of names) {
    try {
      const image = await createImageBitmap(await (await ask("heat", { ...where(false), pane: name })).blob());
      panes[name].heat?.close();
      panes[name].heat = image;
      draw();
    } catch (fault) {
      say(fault.message, true);
    }
  }
}

// Scores of all shots.

async function score() {
  const button = $("#score"), scored = JSON.stringify(where(false).settings) + JSON.stringify(here().rig);
  button.disabled = true;
  try {
    let progress = await json("scores", where(false));
    while (!progress.scores && !progress.fault) {
      $("#scores").textContent = `${progress.done} of ${progress.total} pictures`;
      await new Promise((done) => setTimeout(done, 150));
      progress = await json("progress");
    }
    if (progress.fault) throw new Error(progress.fault);
    scoreTable(progress.scores);
    state.scored = scored;
  } catch (fault) {
    say(fault.message, true);
  } finally {
    button.disabled = false;
  }
}

function scoreTable({ splits, oks, gain, error, shots }) {
  const table = make("table", { id: "scored" });
  const pair = (one, what) => `${places(one.default[what], 1)} → ${places(one.tuned[what], 1)}`;
  const sure = Math.abs(gain) > 2 * error ? (gain > 0 ? "better" : "worse") : "";
  const mean = make("p", { className: sure, textContent:
    `mean OKS ${oks.default.toFixed(3)} → ${oks.tuned.toFixed(3)}: ${gain >= 0 ? "+" : "−"}${Math.abs(gain).toFixed(3)} ± ${error.toFixed(3)}` });
  $("#scores").replaceChildren(table, mean, make("p", { textContent: `${shots} shots, default → slot ${state.slot}; ± one standard error` }));
  rows("#scored", ["", "AP", "PCK@0.2", "people"], Object.entries(splits).map(([split, one]) => [
    split, pair(one, "ap"), pair(one, "pck"), String(one.people),
  ]));
}

const outdated = () => $("#scores").classList.toggle(
  "old", Boolean(state.scored) && state.scored !== JSON.stringify(here().settings) + JSON.stringify(here().rig),
);

// Presets: settings by name, which are files.

let presets = {};

async function listPresets(chosen) {
  presets = await json("presets");
  $("#presets").replaceChildren(...["defaults", ...Object.keys(presets)].map((name) => make("option", { textContent: name })));
  if (chosen) $("#presets").value = chosen;
}

function loadPreset() {
  const found = presets[$("#presets").value];
  remember();
  moving = null;
  Object.assign(here(), {
    settings: { ...defaultsOf(desk.parameters), ...found?.settings }, rig: { ...defaultsOf(desk.rig), ...found?.rig },
  });
  if (!desk.rig.length) here().rig = {};
  showKnobs();
  refresh("rig");
}

async function save() {
  const name = $("#name").value.trim();
  try {
    const { files, commands, note } = await json("save", { ...where(false), name });
    $("#saved").replaceChildren(
      make("p", { className: "note", textContent: `written: ${files.join(", ")}` }),
      ...(note ? [make("p", { className: "note", textContent: note })] : []),
      ...commands.map((command) => make("pre", { textContent: command })),
    );
    await listPresets(name);
    say(`saved ${name}`);
    document.body.dataset.saved = name;
  } catch (fault) {
    say(fault.message, true);
  }
}

// Sliders.

const knobs = { settings: new Map(), rig: new Map() };

function shareOf(spec, value) {
  if (spec.choices.length) return spec.choices.indexOf(value) / (spec.choices.length - 1);
  return spec.scale === "log"
    ? Math.log(value / spec.low) / Math.log(spec.high / spec.low) : (value - spec.low) / (spec.high - spec.low);
}

function valueOf(spec, share) {
  if (spec.choices.length) return spec.choices[Math.round(share * (spec.choices.length - 1))];
  const value = spec.scale === "log"
    ? spec.low * (spec.high / spec.low) ** share : spec.low + share * (spec.high - spec.low);
  return Math.min(spec.high, Math.max(spec.low, Number(value.toPrecision(4))));
}

const textOf = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value));

class Knob {
  constructor(kind, spec) {
    Object.assign(this, { kind, spec });
    const count = spec.choices.length;
    const short = spec.name.split(".").slice(kind === "settings" && spec.name.includes(".") ? 1 : 0).join(" ");
    this.label = make("label", { textContent: short, title: `${spec.says || spec.name}; double-click: ${textOf(spec.default)}` });
    this.text = make("input", { type: "text", spellcheck: false, readOnly: count > 0, ariaLabel: spec.name });
    this.slide = make("input", { type: "range", min: 0, max: 1, step: count ? 1 / (count - 1) : 0.001, ariaLabel: spec.name });
    this.slide.dataset.name = spec.name;
    this.node = make("div", { className: "knob" }, this.label, this.text, make("span", { className: "unit", textContent: spec.unit }), this.slide);
    this.slide.oninput = () => this.set(valueOf(spec, Number(this.slide.value)), true);
    this.slide.onchange = () => { moving = null; };
    this.text.onchange = () => this.typed();
    this.label.ondblclick = () => { this.set(spec.default); moving = null; };
  }

  typed() {
    const value = Number(this.text.value.replace(",", "."));
    if (this.spec.choices.length || Number.isNaN(value)) return this.show();
    this.set(Math.min(this.spec.high, Math.max(this.spec.low, value)));
    moving = null;
  }

  set(value, dragging = false) {
    remember();
    for (const knob of linked(this)) here()[this.kind][knob.spec.name] = value;
    for (const knob of linked(this)) knob.show();
    refresh(this.kind, dragging);
  }

  show() {
    const value = here()[this.kind][this.spec.name];
    this.text.value = textOf(value);
    this.slide.value = shareOf(this.spec, value);
    this.label.classList.toggle("moved", value !== this.spec.default);
  }
}

const unlinked = new Set();

function linked(knob) {
  const stem = stemOf(knob.spec.name);
  if (!stem || unlinked.has(stem)) return [knob];
  return [...knobs[knob.kind].values()].filter((one) => stemOf(one.spec.name) === stem);
}

function stemOf(name) {
  return /\.[RGB]$/.test(name) ? name.slice(0, -2) : null;
}

function panel(section, title, kind, specs) {
  const heading = make("h2", {}, title);
  const reset = make("button", { textContent: "defaults" });
  reset.onclick = () => {
    remember();
    moving = null;
    here()[kind] = defaultsOf(specs);
    showKnobs();
    refresh(kind);
  };
  heading.append(reset);
  section.append(heading);
  let group = "";
  for (const spec of specs) {
    const first = spec.name.includes(".") ? spec.name.split(".")[0] : "";
    if (first !== group) section.append(make("h3", { textContent: (group = first).replaceAll("_", " ") }, ...link(first, specs)));
    const knob = new Knob(kind, spec);
    knobs[kind].set(spec.name, knob);
    section.append(knob.node);
  }
}

function link(group, specs) {
  const stems = new Set(specs.filter((one) => one.name.startsWith(`${group}.`)).map((one) => stemOf(one.name)).filter(Boolean));
  if (!stems.size) return [];
  const button = make("button", { textContent: "R G B together", className: "on", title: "one slider moves all three" });
  button.onclick = () => {
    const on = button.classList.toggle("on");
    for (const stem of stems) on ? unlinked.delete(stem) : unlinked.add(stem);
  };
  return [button];
}

const defaultsOf = (specs) => Object.fromEntries(specs.map((spec) => [spec.name, spec.default]));

function showKnobs() {
  for (const kind of ["settings", "rig"]) for (const knob of knobs[kind].values()) knob.show();
  for (const button of document.querySelectorAll("[data-slot]")) {
    button.classList.toggle("on", button.dataset.slot === state.slot);
  }
  $("#undo").disabled = !state.undo.length;
  $("#redo").disabled = !state.redo.length;
}

// Undo: a drag is one step.

let moving = null;

function remember() {
  if (moving) return;
  moving = { slot: state.slot, slots: copyOf(state.slots) };
  state.undo.push(moving);
  state.redo = [];
  if (state.undo.length > 200) state.undo.shift();
  showKnobs();
}

function step(from, to) {
  const past = state[from].pop();
  if (!past) return;
  state[to].push({ slot: state.slot, slots: copyOf(state.slots) });
  const rig = JSON.stringify(here().rig);
  Object.assign(state, copyOf(past));
  moving = null;
  showKnobs();
  refresh(JSON.stringify(here().rig) === rig ? "settings" : "rig");
}

function change(slot) {
  const rig = JSON.stringify(here().rig);
  state.slot = slot;
  moving = null;
  showKnobs();
  refresh(JSON.stringify(here().rig) === rig ? "settings" : "rig");
}

// The page.

function toggles() {
  const nav = $("#shown");
  for (const name of PANES) {
    const button = make("button", { textContent: CAPTIONS[name], title: SAYS[name], className: "on" });
    button.onclick = () => {
      const on = !state.panes.has(name);
      if (!on && visible().length === 1) return;
      on ? state.panes.add(name) : state.panes.delete(name);
      button.classList.toggle("on", on);
      arrange();
      if (on) refresh("all");
    };
    nav.append(button);
  }
  nav.append(make("span", { className: "hint", textContent: "wheel: zoom · drag: pan · shift drag: mark a patch · double-click: whole" }));
  for (const name of ["seen", "found", "truth", "heat"]) {
    const button = $(`#${name}`);
    button.classList.toggle("on", state[name]);
    button.onclick = () => {
      state[name] = !state[name];
      button.classList.toggle("on", state[name]);
      if (name === "seen") refresh("all");
      else draw();
      if (name === "heat") heat(visible());
    };
  }
  for (const button of document.querySelectorAll("[data-slot]")) button.onclick = () => change(button.dataset.slot);
  $("#copy").onclick = () => {
    remember();
    moving = null;
    const other = state.slot === "A" ? "B" : "A";
    state.slots[other] = copyOf(here());
    say(`${state.slot} copied over ${other}`);
  };
  $("#score").onclick = score;
  $("#load").onclick = loadPreset;
  $("#save").onclick = save;
  $("#name").onkeydown = (event) => { if (event.key === "Enter") save(); };
  $("#undo").onclick = () => step("undo", "redo");
  $("#redo").onclick = () => step("redo", "undo");
}

function keys(event) {
  if (/INPUT|SELECT/.test(event.target.tagName) && event.target.type !== "range") return;
  const key = event.key.toLowerCase();
  if (key === " ") {
    event.preventDefault();
    state.blink = true;
    draw();
  }
  if ((event.ctrlKey || event.metaKey) && key === "z") {
    event.preventDefault();
    return event.shiftKey ? step("redo", "undo") : step("undo", "redo");
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "x") change(state.slot === "A" ? "B" : "A");
  const button = { n: "#seen", p: "#found", l: "#truth", h: "#heat" }[key];
  if (button) $(button).click();
  if (key >= "1" && key <= "5") $("#shown").children[Number(key) - 1].click();
  const by = { "[": -1, "]": 1 }[key];
  if (by) show((state.shot + by + desk.shots.length) % desk.shots.length);
}

async function strip() {
  for (const [number, shot] of desk.shots.entries()) {
    const image = make("img", { alt: shot.name });
    const button = make("button", { title: shot.name }, image, make("span", { textContent: shot.split || shot.name }));
    button.onclick = () => show(number);
    $("#strip").append(button);
  }
}

async function thumbnails() {
  const images = [...document.querySelectorAll("#strip img")];
  for (const [number, image] of images.entries()) {
    const reply = await ask("thumbnail", { shot: number, settings: here().settings });
    image.src = URL.createObjectURL(await reply.blob());
  }
}

function show(number) {
  state.shot = number;
  state.view = state.patch = null;
  [...$("#strip").children].forEach((one, n) => one.classList.toggle("on", n === number));
  for (const pane of Object.values(panes)) Object.assign(pane, { poses: [], oks: null, heat: null });
  arrange();
  refresh("all");
}

async function begin() {
  desk = await json("desk");
  $("#about").textContent = `${desk.isp} before ${desk.pose}`;
  for (const slot of ["A", "B"]) state.slots[slot] = { settings: defaultsOf(desk.parameters), rig: defaultsOf(desk.rig) };
  for (const name of PANES) panes[name] = new Pane(name);
  panel($("#isp"), "ISP", "settings", desk.parameters);
  if (desk.rig.length) panel($("#rig"), "Rig", "rig", desk.rig);
  else $("#rig").append(make("h2", { textContent: "Rig" }), make("p", { className: "note", textContent: desk.fixed }));
  toggles();
  await strip();
  showKnobs();
  show(0);
  addEventListener("keydown", keys);
  addEventListener("keyup", (event) => { if (event.key === " ") { state.blink = false; draw(); } });
  new ResizeObserver(arrange).observe($("main"));
  document.body.dataset.ready = "1";
  await listPresets();
  await thumbnails();
  if (panes.default.about?.mean < DARK) {
    $("#seen").click();
    say("the default picture is nearly black: shown as the network sees it (N)");
  }
}

begin().catch((fault) => say(fault.message, true));
