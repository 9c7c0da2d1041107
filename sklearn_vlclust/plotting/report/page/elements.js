"use strict";
// Elements are made from text here and nowhere else, never from markup: what a file or
// a noun is called cannot become part of the page.

const SVG = "http://www.w3.org/2000/svg";

function byId(id) {
  return document.getElementById(id);
}

// el("a", {href: "#x", class: "y"}, "text", child): null and false are left out.
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  return fill(node, attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== false));
  return node;
}

// A name from outside, whatever way it is written; it turns nothing around but itself.
function nameOf(text, tag = "bdi") {
  return el(tag, { class: "name", dir: "auto" }, text);
}

// Names in a row, each on its own.
function namesOf(texts) {
  return el("span", {}, ...texts.flatMap((text, i) => (i ? [", ", nameOf(text)] : [nameOf(text)])));
}

function count(number, thing) {
  return `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
}

function fixed(value, digits = 2) {
  return value === null ? "unknown" : value.toFixed(digits);
}

// A table with a header row; cells are texts or nodes, the first of a row its header.
// kinds: the class of some columns, by number.
function fillTable(table, header, rows, kinds = {}) {
  const kind = (column) => kinds[column] ?? null;
  table.replaceChildren(
    el("thead", {}, el("tr", {}, ...header.map((text, c) =>
      el("th", { scope: "col", class: kind(c) }, text)))),
    el("tbody", {}, ...rows.map((row) =>
      el("tr", {}, ...row.map((cell, c) =>
        el(c ? "td" : "th", { scope: c ? null : "row", class: kind(c) }, cell))))),
  );
  return table;
}

// Sizes are set by script: the page's policy allows no style attributes.
function bar(share) {
  const node = el("span", { class: "bar", "aria-hidden": "true" });
  node.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return node;
}
