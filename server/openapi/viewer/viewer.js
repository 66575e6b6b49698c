"use strict";
// Shows /openapi.json, and sends requests to the server that it came from. Nothing is ever read as HTML.

const METHODS = ["get", "post", "put", "patch", "delete"];
let api = null;

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  for (const child of children) element.append(child);
  return element;
}

function find(id) {
  return document.getElementById(id);
}

function resolved(value) {
  let found = value;
  for (let step = 0; found && found.$ref && step < 20; step += 1) {
    found = found.$ref.slice(2).split("/").reduce((part, key) => part && part[key.replace(/~1/g, "/").replace(/~0/g, "~")], api);
  }
  return found || {};
}

// Comments and descriptions are plain text, with `code`, **strong** words and tables.
function prose(text) {
  const block = make("div");
  for (const paragraph of (text || "").split(/\n\n+/)) {
    const lines = paragraph.split("\n");
    if (lines.length > 2 && lines[0].startsWith("|")) {
      block.append(make("table", {}, ...lines.filter((line) => !/^\|[-|]+\|$/.test(line)).map((line, row) =>
        make("tr", {}, ...line.split("|").slice(1, -1).map((cell) => make(row ? "td" : "th", {}, ...words(cell.trim())))))));
    } else if (paragraph) {
      block.append(make("p", {}, ...words(paragraph.replace(/\n/g, " "))));
    }
  }
  return block;
}

function words(text) {
  return text.split(/(`[^`]*`|\*\*[^*]*\*\*)/).map((part) => {
    if (part.length > 1 && part.startsWith("`")) return make("code", {}, part.slice(1, -1));
    if (part.length > 4 && part.startsWith("**")) return make("strong", {}, part.slice(2, -2));
    return part;
  });
}

function typeOf(schema, depth = 0) {
  const found = resolved(schema);
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = found.oneOf || found.anyOf;
  if (choices) return choices.map((each) => typeOf(each, depth)).join(" | ");
  const types = [].concat(found.type || "any");
  const shown = types.map((type) => (type === "array" ? `${typeOf(found.items || {}, depth)}[]` : type)).join(" | ");
  return found["x-postgres-type"] && types[0] !== "array" ? `${shown} (${found["x-postgres-type"]})` : shown;
}

function columnsOf(schema) {
  let found = resolved(schema);
  if (found.oneOf) found = resolved(found.oneOf[0]);
  if (found.type === "array") found = resolved(found.items);
  if (!found.properties) return make("p", { class: "dim" }, typeOf(schema));
  const needed = new Set(found.required || []);
  return make("table", {}, ...Object.entries(found.properties).map(([name, part]) =>
    make("tr", {}, make("td", {}, make("code", {}, name), needed.has(name) ? " *" : ""),
      make("td", { class: "dim" }, typeOf(part)), make("td", {}, prose(resolved(part).description)))));
}

function example(schema, depth = 0) {
  const found = resolved(schema);
  if (found.oneOf) return example(found.oneOf[0], depth);
  if (found.default !== undefined) return found.default;
  if (found.enum) return found.enum[0];
  if (found.const !== undefined) return found.const;
  const type = [].concat(found.type || [])[0];
  if (type === "object" && depth < 4) {
    const wanted = found.required || Object.keys(found.properties || {}).slice(0, 3);
    return Object.fromEntries(wanted.map((name) => [name, example((found.properties || {})[name] || {}, depth + 1)]));
  }
  if (type === "array") return [];
  return { string: "", integer: 0, number: 0, boolean: false }[type] ?? null;
}

function credentials() {
  const headers = {};
  const token = find("token").value.trim();
  const tenant = find("tenant").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (tenant) headers["X-Tenant-ID"] = tenant;
  return headers;
}

function operationOf(path, method, shared, operation) {
  const item = make("details", { class: "operation", "data-path": `${method} ${path}`.toLowerCase() },
    make("summary", {}, make("span", { class: `method ${method}` }, method), make("span", { class: "path" }, path),
      make("span", { class: "dim" }, operation.summary || "")));
  item.addEventListener("toggle", () => {
    if (item.open && !item.lastChild.matches("div")) item.append(bodyOf(path, method, shared, operation));
  });
  return item;
}

function bodyOf(path, method, shared, operation) {
  const parameters = [...shared, ...(operation.parameters || [])].map(resolved);
  const fields = parameters.map((parameter) => {
    const input = make("input", { placeholder: parameter.example || "", "aria-label": parameter.name });
    const row = make("tr", {}, make("td", {}, make("code", {}, parameter.name), parameter.required ? " *" : ""),
      make("td", { class: "dim" }, parameter.in), make("td", {}, prose(parameter.description)), make("td", {}, input));
    return { parameter, input, row };
  });
  const block = make("div", {}, prose(operation.description));
  if (fields.length) block.append(make("h3", {}, "Parameters"), make("table", {}, ...fields.map((field) => field.row)));
  const content = operation.requestBody && resolved(operation.requestBody).content["application/json"];
  let body = null;
  if (content) {
    body = make("textarea", { "aria-label": "Body", spellcheck: "false" });
    body.value = JSON.stringify(example(content.schema), null, 2);
    block.append(make("h3", {}, "Body"), columnsOf(content.schema), body);
  }
  block.append(make("h3", {}, "Answers"), make("table", {}, ...Object.entries(operation.responses).map(([status, part]) =>
    make("tr", {}, make("td", {}, status), make("td", {}, prose(resolved(part).description))))));
  const output = make("pre", { hidden: "" });
  const send = make("button", { type: "button" }, "Send");
  send.addEventListener("click", async () => {
    send.disabled = true;
    output.hidden = false;
    output.textContent = "…";
    output.textContent = await answerTo(path, method, fields, body);
    send.disabled = false;
  });
  block.append(make("p", {}, send), output);
  return block;
}

async function answerTo(path, method, fields, body) {
  const headers = credentials();
  const query = new URLSearchParams();
  let url = path;
  for (const { parameter, input } of fields) {
    if (input.value === "") continue;
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "header") headers[parameter.name] = input.value;
    else query.append(parameter.name, input.value);
  }
  if (body) headers["Content-Type"] = "application/json";
  const asked = query.size ? `${url}?${query}` : url;
  try {
    const response = await fetch(asked, { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
    const text = await response.text();
    const told = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    return `${method.toUpperCase()} ${asked}\n\n${response.status} ${response.statusText}\n${told}\n\n${pretty(text)}`;
  } catch (error) {
    return String(error);
  }
}

function pretty(text) {
  // Shown as sent: reading numbers would lose their digits.
  return text.length > 200000 ? `${text.slice(0, 200000)}…` : text;
}

function show() {
  document.title = api.info.title;
  find("title").textContent = `${api.info.title} ${api.info.version}`;
  find("about").replaceChildren(prose(api.info.description));
  const byTag = new Map(api.tags.map((tag) => [tag.name, make("section", { id: `tag-${tag.name}` },
    make("h2", {}, tag.name), prose(tag.description))]));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS) {
      if (item[method]) byTag.get(item[method].tags[0]).append(operationOf(path, method, item.parameters || [], item[method]));
    }
  }
  find("operations").replaceChildren(...byTag.values());
  find("tags").replaceChildren(...[...byTag.keys()].map((name) =>
    make("li", {}, make("a", { href: `#tag-${name}` }, name))));
  narrow();
}

function narrow() {
  const wanted = find("filter").value.toLowerCase();
  for (const section of find("operations").children) {
    let any = false;
    for (const operation of section.querySelectorAll("details.operation")) {
      operation.hidden = !operation.dataset.path.includes(wanted);
      any = any || !operation.hidden;
    }
    section.hidden = !any;
  }
}

async function load() {
  find("state").textContent = "Loading…";
  try {
    const response = await fetch("/openapi.json", { headers: credentials() });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error || response.statusText);
    api = answer;
    show();
    find("state").textContent = credentials().Authorization ? "" : "Without a token, tables are not shown.";
  } catch (error) {
    find("state").textContent = `It could not be loaded: ${error.message}`;
  }
}

find("who").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", find("token").value);
  load();
});
find("filter").addEventListener("input", narrow);
find("token").value = sessionStorage.getItem("token") || "";
load();
