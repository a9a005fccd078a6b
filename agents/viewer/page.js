"use strict";
// Everything that a model or an environment wrote enters the page through `textContent` or an attribute's value, never
// as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const episodes = data.episodes;
const vocabulary = data.vocabulary;
const ROW = 52; // pixels; `.row` in the style sheet has the same
const byId = (id) => document.getElementById(id);
const state = { shown: [], position: -1, turn: -1, tokens: false };

// Making elements.

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const child of children) {
    if (child !== null && child !== undefined) made.append(child); // a string becomes a text node
  }
  return made;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function chip(name, value, className) {
  return element("span", "chip", element("b", "", name), element("span", className, value));
}

// Writing numbers. One that JSON does not have arrives as its name.

function isNumber(value) {
  return typeof value === "number";
}

function number(value, digits = 3) {
  if (!isNumber(value)) return value === null || value === "nan" ? "–" : String(value);
  return String(Number(value.toFixed(digits))).replace("-", "−");
}

function signed(value) {
  return (isNumber(value) && value > 0 ? "+" : "") + number(value);
}

function sign(value) {
  return !isNumber(value) || value === 0 ? "" : value > 0 ? "positive" : "negative";
}

function mean(list, key) {
  const values = list.map((episode) => episode[key]).filter(isNumber);
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// What an episode is called and how it counts.

function outcome(episode) {
  if (episode.status === "failed") return "failed";
  if (!isNumber(episode.success) || episode.success <= 0) return "missed";
  return episode.success >= 1 ? "solved" : "partly";
}

function searchable(episode) {
  const turns = episode.turns.flatMap((turn) => [turn.observation, turn.action, turn.feedback]);
  const rest = [episode.group, episode.env, episode.seed, episode.error, episode.note, episode.final];
  return [...rest, JSON.stringify(episode.tags), JSON.stringify(episode.task), ...turns].join("\n").toLowerCase();
}

episodes.forEach((episode, index) => {
  episode.index = index;
  episode.outcome = outcome(episode);
});

const severalEnvs = new Set(episodes.map((episode) => episode.env)).size > 1;

function describe(list) {
  const scored = list.filter((episode) => episode.status !== "failed");
  const parts = [`success ${number(mean(scored, "success"))}`, `reward ${number(mean(scored, "reward"))}`];
  const failed = list.length - scored.length;
  if (failed) parts.push(`${failed} failed`);
  return parts.join(" · ");
}

// Filters.

const SORTS = {
  order: ["as recorded", (a, b) => a.index - b.index],
  reward: ["reward, highest first", (a, b) => descending(a.reward, b.reward)],
  worst: ["reward, lowest first", (a, b) => descending(b.reward, a.reward)],
  success: ["success, highest first", (a, b) => descending(a.success, b.success)],
  turns: ["turns, most first", (a, b) => b.turns.length - a.turns.length],
  tokens: ["sampled tokens, most first", (a, b) => b.tokens - a.tokens],
  group: ["group", (a, b) => a.group.localeCompare(b.group, undefined, { numeric: true })],
};
const REWARDS = {
  "": ["any", () => true],
  positive: ["above 0", (reward) => reward > 0],
  zero: ["0", (reward) => reward === 0],
  negative: ["below 0", (reward) => reward < 0],
};

function descending(left, right) {
  const [a, b] = [left, right].map((value) => (isNumber(value) ? value : -Infinity));
  return a === b ? 0 : b - a;
}

function fillSelect(id, options) {
  for (const [value, label] of options) {
    const option = element("option", "", label);
    option.value = value;
    byId(id).append(option);
  }
  byId(id).addEventListener("change", applyFilters);
}

function counted(key, order) {
  const counts = new Map();
  for (const episode of episodes) counts.set(episode[key], (counts.get(episode[key]) || 0) + 1);
  const names = [...counts.keys()].sort(order || ((a, b) => a.localeCompare(b, undefined, { numeric: true })));
  return [["", `all (${episodes.length})`], ...names.map((name) => [`=${name}`, `${name} (${counts.get(name)})`])];
}

function applyFilters() {
  const chosen = (id, value) => byId(id).value === "" || byId(id).value === `=${value}`;
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const selected = state.shown[state.position];
  state.shown = episodes.filter((episode) => {
    if (!chosen("status", episode.status) || !chosen("success", episode.outcome)) return false;
    if (!chosen("group", episode.group) || !REWARDS[byId("reward").value][1](episode.reward)) return false;
    if (!words.length) return true;
    episode.text ??= searchable(episode);
    return words.every((word) => episode.text.includes(word));
  });
  state.shown.sort((a, b) => SORTS[byId("sort").value][1](a, b) || a.index - b.index);
  const some = state.shown.length < episodes.length ? `${state.shown.length} of ${episodes.length} shown` : `all ${episodes.length} shown`;
  byId("shown").textContent = state.shown.length ? `${some} · ${describe(state.shown)}` : "no episode matches";
  byId("rows").style.height = `${state.shown.length * ROW}px`;
  const position = state.shown.indexOf(selected);
  if (position >= 0) select(position, false);
  else select(state.shown.length ? 0 : -1);
}

// The list: only the rows in sight exist, so that its length does not matter.

function drawRows() {
  const list = byId("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(state.shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
  const rows = [];
  for (let position = first; position < last; position += 1) rows.push(listRow(state.shown[position], position));
  byId("rows").replaceChildren(...rows);
  const selected = byId(`row-${state.position}`);
  if (selected) list.setAttribute("aria-activedescendant", selected.id);
  else list.removeAttribute("aria-activedescendant");
}

function listRow(episode, position) {
  const turns = `${episode.turns.length} ${episode.turns.length === 1 ? "turn" : "turns"}`;
  const detail = [turns, episode.tokens ? `${episode.tokens} tokens` : "", severalEnvs ? episode.env : ""].filter(Boolean).join(" · ");
  const failed = episode.status === "failed";
  const row = element(
    "div",
    "row",
    element("span", `dot ${episode.outcome}`),
    element("span", "name", episode.group || "episode"),
    element("span", `number ${failed ? "negative" : sign(episode.reward)}`, failed ? "failed" : signed(episode.reward)),
    element("span", "detail", detail),
    element("span", "number detail", `#${episode.index}`),
  );
  row.id = `row-${position}`;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(position === state.position));
  row.setAttribute("aria-label", `${episode.group}, ${episode.outcome}, reward ${number(episode.reward)}`);
  row.style.top = `${position * ROW}px`;
  row.addEventListener("click", () => select(position));
  return row;
}

function select(position, redraw = true) {
  state.position = position;
  const list = byId("list");
  if (position >= 0) {
    if (position * ROW < list.scrollTop) list.scrollTop = position * ROW;
    const bottom = (position + 1) * ROW - list.clientHeight;
    if (bottom > list.scrollTop) list.scrollTop = bottom;
  }
  drawRows();
  if (!redraw) return;
  drawEpisode(state.shown[position]);
  if (position >= 0) history.replaceState(null, "", `#episode=${state.shown[position].index}`);
}

// One episode.

function drawEpisode(episode) {
  const main = byId("episode");
  state.turn = -1;
  main.scrollTop = 0;
  if (!episode) {
    main.replaceChildren(element("p", "empty", episodes.length ? "No episode matches the filters." : "There are no episodes."));
    return;
  }
  main.replaceChildren(
    ...[
      episodeHead(episode),
      element("p", "sub", [episode.env, `seed ${episode.seed}`, `#${episode.index}`].filter(Boolean).join(" · ")),
      tagChips(episode),
      episode.error ? element("p", "notice bad", episode.error) : null,
      episode.note ? element("p", "notice", episode.note) : null,
      figures(episode),
      episode.turns.length ? strip(episode) : null,
      details("Instructions", episode.instructions),
      details("Tools", episode.tools.length ? JSON.stringify(episode.tools, null, 2) : ""),
      details("Task", Object.keys(episode.task).length ? JSON.stringify(episode.task, null, 2) : ""),
      ...episode.turns.map((turn, index) => turnCard(turn, index)),
      finalCard(episode),
    ].filter(Boolean),
  );
}

function episodeHead(episode) {
  const success = { solved: "good", partly: "warn", missed: "", failed: "bad" }[episode.outcome];
  const status = { terminated: "", truncated: "warn", failed: "bad" }[episode.status];
  const head = element("div", "head", element("h2", "", episode.group || "episode"), element("span", `pill ${status}`, episode.status));
  if (episode.status !== "failed") head.append(element("span", `pill ${success}`, `success ${number(episode.success)}`));
  if (episode.turns.some((turn) => turn.tokens)) {
    const button = element("button", "quiet", "Tokens ", element("kbd", "", "t"));
    button.id = "tokens-button";
    button.setAttribute("aria-pressed", String(state.tokens));
    button.addEventListener("click", toggleTokens);
    head.append(element("span", "spring"), button);
  }
  return head;
}

function tagChips(episode) {
  const tags = Object.entries(episode.tags);
  if (episode.attempt) tags.push(["failed attempts before", episode.attempt]);
  return tags.length ? element("div", "chips", ...tags.map(([name, value]) => chip(name, plain(value)))) : null;
}

function figures(episode) {
  const totals = new Map();
  for (const turn of episode.turns) {
    for (const [name, value] of Object.entries(turn.parts)) {
      if (isNumber(value)) totals.set(name, (totals.get(name) || 0) + value);
    }
  }
  const list = element("dl", "figures");
  const add = (name, value, className) => list.append(element("div", "figure", element("dt", "", name), element("dd", className, value)));
  add("reward", signed(episode.reward), sign(episode.reward));
  for (const [name, value] of totals) add(`part: ${name}`, signed(value), sign(value));
  add("turns", String(episode.turns.length));
  if (episode.tokens) add("sampled tokens", episode.tokens.toLocaleString("en"));
  const seconds = episode.turns.flatMap((turn) => Object.values(turn.seconds)).filter(isNumber);
  if (seconds.length) add("seconds", number(seconds.reduce((sum, value) => sum + value, 0), 2));
  return list;
}

// Reward and advantage of every turn as bars.

function strip(episode) {
  const credited = episode.turns.some((turn) => isNumber(turn.advantage));
  const width = Math.max(14, Math.min(44, Math.floor(900 / episode.turns.length)));
  const series = credited ? ["reward", "advantage"] : ["reward"];
  const height = 44; // pixels of one series, of which the bars leave some free
  const picture = svg("svg", { width: width * episode.turns.length + 2, height: height * series.length + 16, role: "img" });
  picture.setAttribute("aria-label", `${series.join(" and ")} of each turn`);
  const columns = episode.turns.map((turn, index) => {
    const column = svg("g", { class: "column" }, svg("rect", { class: "hit", x: index * width, y: 0, width, height: height * series.length + 16 }));
    const label = svg("text", { x: index * width + width / 2, y: height * series.length + 12, "text-anchor": "middle" });
    if (width >= 20 || index % 5 === 0) label.textContent = String(index + 1);
    const tip = svg("title", {});
    tip.textContent = `turn ${index + 1}: ` + series.map((name) => `${name} ${signed(turn[name])}`).join(", ");
    column.append(label, tip);
    column.addEventListener("click", () => goToTurn(index));
    return column;
  });
  picture.append(...series.map((name, line) => drawBars(columns, episode.turns, name, width, line * height, height)), ...columns);
  const legend = element("div", "legend", element("span", "", element("i", "fill-reward"), "reward"));
  if (credited) legend.append(element("span", "", element("i", "fill-good"), element("i", "fill-bad"), "advantage"));
  return element("div", "strip", legend, picture);
}

// Adds the bars of one series to the columns, all on one scale with 0 in it; returns the line at 0.
function drawBars(columns, turns, name, width, top, height) {
  const values = turns.map((turn) => turn[name]).filter(isNumber);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const scale = (height - 10) / (high - low || 1);
  const zero = top + 5 + high * scale;
  turns.forEach((turn, index) => {
    const value = turn[name];
    if (!isNumber(value)) return;
    const kind = name === "reward" ? "fill-reward" : value < 0 ? "fill-bad" : "fill-good";
    const place = { x: index * width + width * 0.2, y: zero - Math.max(0, value) * scale, width: width * 0.6 };
    columns[index].append(svg("rect", { class: kind, ...place, height: Math.abs(value) * scale, rx: 1.5 }));
  });
  return svg("line", { class: "axis", x1: 0, x2: width * turns.length, y1: zero, y2: zero });
}

function details(name, text) {
  return text ? element("details", "", element("summary", "", name), element("pre", "", text)) : null;
}

// One turn.

function turnCard(turn, index) {
  const head = element("div", "turn-head", element("h3", "", `Turn ${index + 1}`));
  head.append(element("span", `pill ${{ positive: "good", negative: "bad" }[sign(turn.reward)] || ""}`, `reward ${signed(turn.reward)}`));
  if (turn.advantage !== null) {
    head.append(element("span", `pill ${{ positive: "good", negative: "bad" }[sign(turn.advantage)] || ""}`, `advantage ${signed(turn.advantage)}`));
  }
  if (turn.finish === "length") head.append(element("span", "pill warn", "cut by the token limit"));
  head.append(element("span", "spring"));
  if (isNumber(turn.progress)) head.append(element("span", "small", `progress ${number(turn.progress)}`));
  const card = element(
    "section",
    "turn",
    head,
    element("div", "block", element("p", "label", "observation"), element("pre", "", turn.observation || "(empty)")),
    element("div", "block action", element("p", "label", "action"), element("pre", "", turn.action || "(empty)")),
  );
  card.id = `turn-${index}`;
  const parts = Object.entries(turn.parts);
  if (parts.length) card.append(element("div", "parts", ...parts.map(([name, value]) => chip(name, signed(value), sign(value)))));
  if (turn.feedback) card.append(element("p", "feedback", turn.feedback));
  if (state.tokens && turn.tokens) card.append(tokenView(turn.tokens));
  const foot = turnFoot(turn);
  if (foot.childNodes.length) card.append(foot);
  return card;
}

function turnFoot(turn) {
  const foot = element("div", "foot");
  if (turn.state) foot.append(element("span", "", "state ", element("code", "", turn.state), turn.next ? " → " : "", turn.next ? element("code", "", turn.next) : ""));
  if (turn.tokens) foot.append(element("span", "", `${turn.tokens.sampled.length} tokens sampled after ${turn.tokens.kept + turn.tokens.new.length}`));
  for (const [name, value] of Object.entries(turn.seconds)) foot.append(element("span", "", `${name} ${number(value)} s`));
  return foot;
}

function finalCard(episode) {
  if (!episode.final) return null;
  const head = element("div", "turn-head", element("h3", "", "End"));
  return element("section", "turn", head, element("div", "block", element("p", "label", "last observation"), element("pre", "", episode.final)));
}

// Tokens: what the model was shown is masked out of the loss, what it sampled is trained on.

function tokenView(tokens) {
  const view = element("div", "tokens");
  const legend = element(
    "div",
    "token-legend",
    element("span", "", element("span", "token masked", "given"), ` (${tokens.new.length} new, masked)`),
    element("span", "", element("span", "token sampled", "sampled"), ` (${tokens.sampled.length})`),
    element("span", "", "log-probability 0", element("span", "ramp"), "−6"),
  );
  if (tokens.dropped) legend.append(element("span", "pill warn", `${tokens.dropped} tokens of the earlier context are not in this prompt`));
  else if (tokens.kept) legend.append(element("span", "", `follows ${tokens.kept} tokens shown before`));
  const line = element("div", vocabulary ? "token-line" : "token-line ids");
  for (const token of tokens.new) line.append(tokenSpan(token, "masked", null));
  tokens.sampled.forEach((token, index) => line.append(tokenSpan(token, "sampled", tokens.logprobs[index])));
  view.append(legend, line);
  return view;
}

function tokenSpan(token, kind, logprob) {
  const text = vocabulary ? vocabulary[token] : String(token);
  const span = element("span", `token ${kind}`, vocabulary ? text.replaceAll("\n", "↵\n") || "∅" : text);
  let tip = `id ${token}`;
  if (kind === "masked") tip += ", given";
  if (isNumber(logprob)) {
    tip += `, log-probability ${number(logprob)}, probability ${number(Math.exp(logprob))}`;
    const share = Math.round(Math.min(1, -logprob / 6) * 65);
    if (share > 0) span.style.background = `color-mix(in srgb, var(--heat) ${share}%, transparent)`;
  }
  span.title = tip;
  return span;
}

function toggleTokens() {
  state.tokens = !state.tokens;
  const episode = state.shown[state.position];
  if (!episode) return;
  const turn = state.turn;
  const scroll = byId("episode").scrollTop;
  drawEpisode(episode);
  if (turn >= 0) goToTurn(turn);
  else byId("episode").scrollTop = scroll;
}

// Moving about.

function goToTurn(index) {
  const episode = state.shown[state.position];
  if (!episode || !episode.turns.length) return;
  state.turn = Math.max(0, Math.min(episode.turns.length - 1, index));
  for (const card of document.querySelectorAll(".turn.current")) card.classList.remove("current");
  const card = byId(`turn-${state.turn}`);
  card.classList.add("current");
  card.scrollIntoView({ block: "start" });
}

function move(change) {
  if (state.shown.length) select(Math.max(0, Math.min(state.shown.length - 1, state.position + change)));
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  n: () => goToTurn(state.turn + 1),
  p: () => goToTurn(state.turn - 1),
  t: toggleTokens,
  "/": () => byId("search").focus(),
  "?": () => byId("help").showModal(),
};
const LIST_KEYS = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  PageDown: () => move(10),
  PageUp: () => move(-10),
  Home: () => move(-state.shown.length),
  End: () => move(state.shown.length),
};

document.addEventListener("keydown", (event) => {
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const action = KEYS[event.key] || (event.target === byId("list") ? LIST_KEYS[event.key] : undefined);
  if (!action) return;
  event.preventDefault();
  action();
});

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.style.colorScheme ? root.style.colorScheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.style.colorScheme = dark ? "light" : "dark";
}

function begin() {
  byId("title").textContent = data.title;
  byId("totals").textContent = `${episodes.length} episodes · ${describe(episodes)}`;
  fillSelect("status", counted("status"));
  fillSelect("success", counted("outcome"));
  fillSelect("group", counted("group"));
  fillSelect("reward", Object.entries(REWARDS).map(([value, [label]]) => [value, label]));
  fillSelect("sort", Object.entries(SORTS).map(([value, [label]]) => [value, label]));
  byId("search").addEventListener("input", applyFilters);
  byId("list").addEventListener("scroll", drawRows);
  byId("theme").addEventListener("click", toggleTheme);
  byId("help-button").addEventListener("click", KEYS["?"]);
  addEventListener("resize", drawRows);
  const wanted = /^#episode=(\d+)$/.exec(location.hash); // before it is overwritten by the first selection
  applyFilters();
  const position = wanted ? state.shown.findIndex((episode) => episode.index === Number(wanted[1])) : -1;
  if (position >= 0) select(position);
}

begin();
