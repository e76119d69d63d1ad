"use strict";
const form = document.getElementById("upload");

function send(files) {
  const image = [...files].find((file) => file.type.startsWith("image/"));
  if (!form || !image) return;
  const held = new DataTransfer();
  held.items.add(image);
  form.elements.image.files = held.files;
  form.requestSubmit();
}

if (form) {
  form.elements.image.addEventListener("change", () => form.requestSubmit());
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    send(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => send(event.clipboardData.files));
}

// The bits in which a neighbour's code differs from the query's.
function mark(link, on) {
  const bits = link.closest("section").querySelectorAll(".bits rect");
  bits.forEach((bit, place) => {
    const theirs = (parseInt(link.dataset.code[place >> 2], 16) >> (3 - (place & 3))) & 1;
    bit.classList.toggle("differs", on && theirs !== Number(bit.classList.contains("one")));
  });
}

const neighbours = [...document.querySelectorAll(".grid a")];
for (const link of neighbours.filter((link) => link.dataset.code)) {
  for (const event of ["mouseenter", "focus"]) link.addEventListener(event, () => mark(link, true));
  for (const event of ["mouseleave", "blur"]) link.addEventListener(event, () => mark(link, false));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  const at = neighbours.indexOf(document.activeElement);
  if (event.key === "r") document.getElementById("random").click();
  else if (event.key === "u" && form) form.elements.image.click();
  else if (/^[1-3]$/.test(event.key)) document.querySelector(`[data-key="${event.key}"]`)?.click();
  else if (event.key === "ArrowRight") neighbours[at + 1]?.focus();
  else if (event.key === "ArrowLeft") neighbours[at - 1]?.focus();
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (at < 0) return;
    // The nearest in the row below or above.
    const box = neighbours[at].getBoundingClientRect();
    const down = event.key === "ArrowDown";
    const others = neighbours.filter((link) => {
      const other = link.getBoundingClientRect();
      return Math.abs(other.left - box.left) < box.width / 2 && (down ? other.top > box.top + 1 : other.top < box.top - 1);
    });
    (down ? others[0] : others.at(-1))?.focus();
    event.preventDefault();
  }
});
