"use strict";
// PALETTE of sdc/report/theme.py; where there are more groups than colours, shapes tell them apart, then they are gray.
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#c2669a", "#bd8500", "#3797d8"], GRAY = "#808080";
const SHAPES = 3, NO_GROUP = 65535, REACH = 14; // pixels from a point at which it is still meant
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const colour = (group) => (group < PALETTE.length * SHAPES ? PALETTE[group % PALETTE.length] : GRAY);

// A point's picture, drawn once and copied to each place.
function stamp(group, radius) {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d"), middle = radius + 1;
  canvas.width = canvas.height = 2 * middle;
  const shape = Math.floor(group / PALETTE.length);
  pen.fillStyle = colour(group);
  if (shape === 1) pen.rect(middle - radius * 0.85, middle - radius * 0.85, radius * 1.7, radius * 1.7);
  else if (shape !== 2) pen.arc(middle, middle, radius, 0, 7);
  else for (const [x, y] of [[0, -1.15], [1.1, 0.85], [-1.1, 0.85]]) pen.lineTo(middle + x * radius, middle + y * radius);
  pen.fill();
  return canvas;
}

function read(data) {
  const count = Number(new DataView(data).getBigUint64(0, true));
  return {
    count,
    ids: new BigUint64Array(data, 8, count),
    places: new Uint16Array(data, 8 + 8 * count, 2 * count),
    groups: new Uint16Array(data, 8 + 12 * count, count),
    names: JSON.parse(new TextDecoder().decode(new Uint8Array(data, 8 + 14 * count))),
  };
}

function show(canvas, points) {
  const pen = canvas.getContext("2d"), base = document.createElement("canvas"), about = canvas.parentElement.querySelector("output");
  const section = canvas.closest("section"), wanted = new Map();
  for (const link of section.querySelectorAll(".grid a[data-id]")) wanted.set(BigInt(link.dataset.id), "near");
  if (canvas.dataset.item) wanted.set(BigInt(canvas.dataset.item), "query");
  const marked = [];
  points.ids.forEach((id, point) => wanted.has(id) && marked.push([point, wanted.get(id)]));
  let current = -1, edge, scale, margin;

  const x = (point) => margin + (points.places[2 * point] / 65535) * (edge - 2 * margin);
  const y = (point) => edge - margin - (points.places[2 * point + 1] / 65535) * (edge - 2 * margin);

  // The points of each group; those without a colour of their own together.
  const shown = Math.min(points.names.length, PALETTE.length * SHAPES), members = Array.from({ length: shown + 1 }, () => []);
  points.groups.forEach((group, point) => members[Math.min(group, shown)].push(point));

  function paint(on, group, alike) {
    const radius = scale * Math.min(4, Math.max(1.2, 160 / Math.sqrt(points.count + 1)));
    const image = stamp(group < shown ? group : NO_GROUP, radius), half = image.width / 2;
    // Small ones are squares, which are drawn much faster.
    on.fillStyle = colour(group < shown ? group : NO_GROUP);
    for (const point of alike) {
      if (radius < 2 * scale) on.fillRect(x(point) - radius, y(point) - radius, 2 * radius, 2 * radius);
      else on.drawImage(image, x(point) - half, y(point) - half);
    }
  }

  function ring(point, radius, width) {
    pen.beginPath();
    pen.arc(x(point), y(point), radius * scale, 0, 7);
    pen.lineWidth = width * scale;
    pen.stroke();
  }

  function draw() {
    if (!edge) return; // not laid out yet
    const group = current < 0 ? NO_GROUP : points.groups[current];
    pen.clearRect(0, 0, edge, edge);
    pen.globalAlpha = group === NO_GROUP ? 1 : 0.15;
    pen.drawImage(base, 0, 0);
    pen.globalAlpha = 1;
    const alike = members[Math.min(group, shown)].filter((point) => points.groups[point] === group);
    if (group !== NO_GROUP) paint(pen, group, alike);
    pen.strokeStyle = getComputedStyle(canvas).color;
    for (const [point, what] of marked) ring(point, what === "query" ? 8 : 5, what === "query" ? 3 : 1.5);
    if (current >= 0) ring(current, 10, 2);
    const name = current < 0 ? "" : points.names[points.groups[current]] ?? "";
    about.textContent = current < 0 ? "" : `${name ? `${name} · ` : ""}id ${points.ids[current]}`;
    canvas.classList.toggle("over-point", current >= 0);
  }

  function fit() {
    scale = window.devicePixelRatio || 1;
    if (!canvas.clientWidth) return; // folded away
    edge = canvas.width = canvas.height = Math.round(canvas.clientWidth * scale);
    margin = 12 * scale;
    base.width = base.height = edge;
    const on = base.getContext("2d");
    on.globalAlpha = 0.85;
    members.forEach((alike, group) => paint(on, group, alike));
    draw();
  }

  // The point that `cost` is least of; -1 if it is infinite for all.
  function best(cost) {
    let found = -1, least = Infinity;
    for (let point = 0; point < points.count; point += 1) {
      const value = cost(point);
      if (value < least) [found, least] = [point, value];
    }
    return found;
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    const left = (event.clientX - box.left) * scale, top = (event.clientY - box.top) * scale;
    const found = best((point) => (x(point) - left) ** 2 + (y(point) - top) ** 2);
    return found >= 0 && Math.hypot(x(found) - left, y(found) - top) <= REACH * scale ? found : -1;
  }

  function go() {
    if (current < 0) return;
    unfolded(true);
    const address = new URL(canvas.dataset.link, location);
    address.searchParams.set("item", points.ids[current]);
    location.assign(address);
  }

  function step([right, down]) {
    const query = marked.find(([, what]) => what === "query");
    if (current < 0) return query ? query[0] : best((point) => (x(point) - edge / 2) ** 2 + (y(point) - edge / 2) ** 2);
    const next = best((point) => {
      const dx = x(point) - x(current), dy = y(point) - y(current);
      const along = dx * right + dy * down, across = Math.abs(dx * down) + Math.abs(dy * right);
      return along > 0.5 * scale && across <= along ? along + 2 * across : Infinity;
    });
    return next < 0 ? current : next;
  }

  function choose(point) {
    if (point === current) return;
    current = point;
    draw();
  }

  canvas.addEventListener("pointermove", (event) => choose(at(event)));
  canvas.addEventListener("pointerleave", () => choose(-1));
  canvas.addEventListener("blur", () => choose(-1));
  canvas.addEventListener("click", (event) => {
    choose(at(event));
    go();
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go();
    else if (event.key in STEPS) choose(step(STEPS[event.key]));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(fit).observe(canvas);
  key(canvas.parentElement.querySelector(".groups"), points);
  canvas.dataset.points = points.count;
}

// What the colours mean.
function key(list, points) {
  const shown = Math.min(points.names.length, PALETTE.length * SHAPES);
  for (let group = 0; group < shown; group += 1) {
    const item = document.createElement("li");
    item.append(stamp(group, 5), ` ${points.names[group]}`);
    list.append(item);
  }
  if (shown < points.names.length) {
    const item = document.createElement("li");
    item.append(stamp(NO_GROUP, 5), ` ${points.names.length - shown} more`);
    list.append(item);
  }
}

// Whether maps are unfolded, from page to page; a browser may keep nothing.
function unfolded(value) {
  try {
    if (value !== undefined) sessionStorage.setItem("map", value);
    return sessionStorage.getItem("map") === "true";
  } catch {
    return false;
  }
}

// A map that is folded away is not asked for until it is unfolded.
const seen = new IntersectionObserver(async (entries) => {
  for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
    seen.unobserve(target);
    const answer = await fetch(target.dataset.map);
    if (answer.ok) show(target, read(await answer.arrayBuffer()));
  }
});
for (const canvas of document.querySelectorAll("canvas[data-map]")) seen.observe(canvas);
for (const fold of document.querySelectorAll("details.fold")) {
  fold.open = unfolded();
  fold.addEventListener("toggle", () => unfolded(fold.open));
}
