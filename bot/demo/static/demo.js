// The demo's page: shows what one member sees, and sends what they do. A message that changes keeps its elements, so that
// no press gets lost; a picture that changes stays until the new one has loaded.
"use strict";

const FIRST_COUNT = 40;
const OLDER_COUNT = 40;
const QUOTED = 90; // characters of a message that another one answers
const AGAIN_MS = 1000; // until a lost connection is tried again
const LOST_MS = 1500; // a shorter break is not worth a word
const PRESS_MS = 5000; // nothing moves under a pressed pointer, for so long at most
const AIM_MS = 400; // nor after it has moved over a button, for that is about to be pressed
const AIM_MAX_MS = 1000;
const TYPING_MS = 150;
const NEAR_END_PX = 48;
const at = (id) => document.getElementById(id);
const log = at("log");

const me = new URLSearchParams(location.search);
const locale = me.get("lang") ? document.documentElement.lang : []; // how times are written: as the page speaks, else as the browser does
const words = JSON.parse(document.body.dataset.words); // the page's sentences in its language, by the English ones
const t = (english, values = {}) => (words[english] || english).replace(/\{(\w+)\}/g, (_, name) => values[name]);
const state = {
  place: { channels: [], people: [], roles: [], slash: [], menus: [] },
  messages: new Map(), // by id, in their order
  channel: me.get("channel") || "",
  as: me.get("as") || "",
  count: FIRST_COUNT,
  more: false,
  busy: new Set(), // "message custom_id" of presses that wait for their answer
  hidden: new Set(JSON.parse(sessionStorage.getItem("dismissed") || "[]")),
  seen: {}, // the newest message that was shown, by channel
  answering: "", // the message that is being replied to
};
let socket = null;
let fresh = true; // the next messages are all there are
let wanted = ""; // a message to show once it is there
const shown = new Set(); // messages that were brought into view
let scrolled = 0; // where the messages were scrolled to
let stuck = true; // the end of the messages is in view and stays so
let lostSince = 0;

// ---------------------------------------------------------------- elements that stay
function h(tag, props, ...children) {
  return { tag, props: props || {}, children: children.flat(9).filter((child) => child || child === 0) };
}

function patch(parent, wants) {
  const keys = new Set(wants.map((want) => want.props?.key).filter(Boolean));
  const kept = new Map();
  for (const node of [...parent.childNodes]) {
    if (node.key && !keys.has(node.key)) node.remove();
    else if (node.key) kept.set(node.key, node);
  }
  let next = parent.firstChild;
  for (const want of wants) {
    const node = fitting(want, next, kept);
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
    if (want.tag) update(node, want);
    else if (node.data !== String(want)) node.data = want;
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

function fitting(want, next, kept) {
  if (!want.tag) return next?.nodeType === Node.TEXT_NODE ? next : document.createTextNode("");
  const key = want.props.key;
  const old = key ? kept.get(key) : next;
  if (old?.localName === want.tag && (key || !old.key)) return old;
  const node = document.createElement(want.tag);
  if (key) node.key = key;
  return node;
}

function update(node, want) {
  const before = node.props || {};
  node.props = want.props;
  for (const name of Object.keys({ ...before, ...want.props })) {
    const value = want.props[name];
    if (name === "key" || name === "w" || name === "h" || before[name] === value) continue;
    if (name === "picture") show(node, value, want.props);
    else if (name.startsWith("--")) node.style.setProperty(name, value ?? "");
    else if (value === undefined || value === false || value === null) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : value);
  }
  patch(node, want.children);
}

// Load a picture beside the one that is there, and put it in its place once it can be seen.
function show(img, url, { w, h }, tries = 0) {
  img.url = url;
  if (!img.getAttribute("src")) resize(img, w, h);
  const loading = new Image();
  loading.src = url;
  loading.decode().then(
    () =>
      calmly(() => {
        if (img.url !== url) return;
        resize(img, w, h);
        img.src = url;
        img.classList.add("there");
      }),
    () => img.url === url && img.isConnected && tries < 5 && setTimeout(() => show(img, url, { w, h }, tries + 1), AGAIN_MS),
  );
}

function resize(img, w, h) {
  if (w) [img.width, img.height] = [w, h];
}

// ---------------------------------------------------------------- nothing moves under the pointer that presses or aims
const pointer = { down: false, until: 0 };
let due = []; // what is to change, once it may
let dueSince = 0;

function calmly(change) {
  if (!due.length) dueSince = performance.now();
  if (due.includes(change)) return;
  due.push(change);
  if (due.length === 1) requestAnimationFrame(changeAll);
}

function changeAll() {
  const now = performance.now();
  if ((pointer.down || now < pointer.until) && now - dueSince < (pointer.down ? PRESS_MS : AIM_MAX_MS)) return setTimeout(changeAll, 15);
  const changes = due;
  due = [];
  for (const change of changes) change();
}

function render() {
  calmly(paint);
}

addEventListener("pointerdown", () => (pointer.down = true), true);
const release = () => setTimeout(() => Object.assign(pointer, { down: false, until: 0 }));
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, release, true);
addEventListener("blur", release); // the window's: a press takes the focus from what one types in
addEventListener("pointermove", (event) => event.target.closest?.("button, summary, .button") && (pointer.until = performance.now() + AIM_MS), true);

function paint() {
  notice();
  const { place } = state;
  const here = place.channels.find((channel) => channel.id === state.channel);
  document.title = here ? `${here.dm ? "@" : "#"}${here.name} · Easel` : "Easel";
  patch(at("server"), [place.server || "Easel"]);
  patch(at("channel"), here ? [`${here.dm ? "@" : "#"} ${here.name}`] : []);
  patch(at("topic"), here ? [here.topic] : []);
  patch(at("channels"), place.channels.map(channelItem));
  patch(at("as"), place.people.filter((each) => !each.bot).map((each) => h("option", { value: each.name }, each.admin ? `${each.name} (admin)` : each.name)));
  at("as").value = state.as;
  at("second").href = address({ as: other(), channel: "" });
  at("older").hidden = !state.more;
  const open = [...state.messages.values()].filter((message) => !state.hidden.has(message.id));
  patch(at("messages"), open.map(messageItem));
  if (here && open.length) state.seen[here.id] = here.last;
  const answered = state.messages.get(state.answering);
  at("answering").hidden = !answered;
  patch(at("answering").firstElementChild, answered ? [t("Replying to {name}", person(answered.author))] : []);
  keepPlace();
}

function channelItem(channel) {
  const unread = channel.id !== state.channel && BigInt(channel.last) > BigInt(state.seen[channel.id] || 0) && channel.dm;
  const current = channel.id === state.channel;
  return h("li", { key: channel.id }, h("button", { type: "button", "data-channel": channel.id, "aria-current": current && "page", class: unread && "unread" }, `${channel.dm ? "@" : "#"} ${channel.name}`));
}

function other() {
  const people = state.place.people.filter((each) => !each.bot).map((each) => each.name);
  return people[(people.indexOf(state.as) + 1) % people.length] || "";
}

function address(values) {
  const query = new URLSearchParams({ as: state.as, channel: state.channel, lang: me.get("lang") || "", ...values });
  for (const [key, value] of [...query]) if (!value) query.delete(key);
  return `?${query}`;
}

// ---------------------------------------------------------------- messages
function messageItem(message) {
  const by = person(message.author);
  const who = message.for ? person(message.for).name : "";
  const used = message.used ? t("{who} used {command}", { who, command: message.used }) : who && !message.private ? t("{who} pressed a button", { who }) : "";
  const time = new Date(message.at);
  return h(
    "li",
    { key: message.id, id: `m${message.id}`, class: `message${message.private ? " private" : ""}` },
    used && h("p", { class: "used" }, used),
    message.answers && h("p", { class: "used" }, "↰ ", h("b", null, person(message.answers.author).name), " ", inline(message.answers.text.split("\n")[0].slice(0, QUOTED))),
    avatar(by),
    h(
      "div",
      { class: "body" },
      h("p", { class: "by" }, h("b", { class: by.bot && "bot" }, by.name), by.bot && h("span", { class: "app" }, "APP"), h("time", { datetime: message.at, title: time.toLocaleString(locale) }, clock(time))),
      message.thinking ? h("p", { class: "thinking" }, h("i"), t("Easel is thinking …")) : null,
      message.text && h("div", { class: "text" }, markdown(message.text), message.edited && h("small", null, ` ${t("(edited)")}`)),
      parts(message.parts, message),
      message.files.map((file) => (file.w ? picture({ ...file, alt: file.alt || file.name }) : download(file))),
      message.private && h("p", { class: "only" }, `${t("Only you can see this")} · `, h("button", { type: "button", class: "link", "data-dismiss": message.id }, t("Dismiss message"))),
    ),
    message.thinking ? null : tools(message),
  );
}

function tools(message) {
  const { menus } = state.place;
  return h(
    "div",
    { class: "tools" },
    message.private ? null : h("button", { key: "reply", type: "button", class: "reply", title: t("Reply"), "aria-label": t("Reply"), "data-reply": message.id }, "↩"),
    menus.length ? h("details", { key: "menu", class: "menu" }, h("summary", { title: "Apps", "aria-label": "Apps" }, "⋯"), h("div", null, menus.map(({ name, label }) => h("button", { type: "button", "data-menu": name }, label)))) : null,
  );
}

function avatar(by) {
  if (by.bot) return h("img", { class: "avatar", picture: "static/easel.svg", alt: "" });
  return h("span", { class: "avatar", "--hue": String((Number(by.id.slice(-4)) * 137) % 360), "aria-hidden": "true" }, by.name.slice(0, 1));
}

function person(id) {
  return state.place.people.find((each) => each.id === id) || { id, name: "somebody", bot: false };
}

function clock(time) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(time).setHours(0, 0, 0, 0)) / 864e5);
  const hour = time.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  if (days === 0) return t("Today at {hour}", { hour });
  return days === 1 ? t("Yesterday at {hour}", { hour }) : `${time.toLocaleDateString(locale)} ${hour}`;
}

const PARTS = {
  1: (each, message) => h("div", { class: "row" }, parts(each.components, message)),
  2: button,
  3: select,
  5: select,
  6: select,
  7: select,
  8: select,
  9: (each, message) => h("div", { class: "section" }, h("div", null, parts(each.components, message)), parts([each.accessory], message)),
  10: (each) => h("div", { class: "text" }, markdown(each.content)),
  11: (each) => picture(each.media, "thumbnail"),
  12: (each) => h("div", { class: "gallery" }, each.items.map((item) => picture(item))),
  13: (each) => download(each.file),
  14: (each) => h("hr", { class: each.divider === false && "blank" }),
  17: (each, message) => h("div", { class: "container", "--accent": each.accent_color ? `#${each.accent_color.toString(16).padStart(6, "0")}` : undefined }, parts(each.components, message)),
};

// What stands between others keeps its element when something comes or goes before it: the second row is the second row.
function parts(all, message) {
  const counts = {};
  return all.map((each) => {
    const made = PARTS[each.type]?.(each, message);
    counts[each.type] = (counts[each.type] || 0) + 1;
    if (made) made.props.key ??= `${each.type}.${counts[each.type]}`;
    return made;
  });
}

function button(each, message) {
  const face = [each.emoji?.name && h("span", { class: "emoji" }, each.emoji.name), each.label];
  if (each.url) return h("a", { key: each.url, class: "button", href: each.url, target: "_blank", rel: "noopener" }, face, " ↗");
  const busy = state.busy.has(`${message.id} ${each.custom_id}`);
  const name = each.label ? undefined : each.emoji?.name;
  return h("button", { key: each.custom_id, type: "button", class: `button style${each.style}${busy ? " busy" : ""}`, disabled: Boolean(each.disabled), "aria-label": name, "data-press": each.custom_id }, face);
}

function picture(file, kind = "") {
  if (!file.url) return h("p", { class: "gone" }, t("This picture is gone."));
  const img = h("img", { picture: file.url, w: file.w, h: file.h, alt: file.alt });
  return h("a", { class: `picture ${kind}${file.spoiler ? " spoiler" : ""}`, href: file.url, target: "_blank", rel: "noopener", "data-picture": file.url }, img);
}

function download(file) {
  return h("a", { class: "file", href: file.url, download: file.name }, "📄 ", file.name, h("small", null, ` ${Math.ceil(file.bytes / 1024)} KB`));
}

// ---------------------------------------------------------------- selects
function choices(each) {
  const { people, roles, channels } = state.place;
  if (each.type === 3) return each.options.map((option) => ({ ...option, chosen: option.default }));
  const now = new Set((each.default_values || []).map((value) => String(value.id)));
  const found = { 5: people, 6: roles, 7: [...people, ...roles], 8: channels.filter((channel) => !channel.dm) }[each.type];
  return found.map((thing) => ({ value: thing.id, label: thing.name, chosen: now.has(thing.id) }));
}

function select(each) {
  const options = choices(each);
  const many = (each.max_values ?? 1) > 1;
  const chosen = options.filter((option) => option.chosen).map((option) => option.label);
  return h(
    "details",
    { key: each.custom_id, class: "select", "data-select": each.custom_id, "data-many": many && "yes", "data-least": String(each.min_values ?? 1) },
    h("summary", { class: each.disabled && "off" }, chosen.join(", ") || each.placeholder || "Choose"),
    h(
      "div",
      { class: "choices" },
      options.map((option) => h("label", { key: option.value }, h("input", { type: many ? "checkbox" : "radio", name: each.custom_id, value: option.value, checked: Boolean(option.chosen) }), option.emoji?.name && `${option.emoji.name} `, option.label, option.description && h("small", null, option.description))),
      many && h("button", { type: "button", class: "button style1", "data-chosen": "yes" }, "Done"),
    ),
  );
}

function chosenIn(details) {
  return [...details.querySelectorAll("input:checked")].map((input) => input.value);
}

// ---------------------------------------------------------------- Discord's markdown
const INLINE = [
  [/\\([^\p{L}\p{N}\s])/u, (found) => found[1]],
  [/``([^]+?)``|`([^`]+)`/, (found) => h("code", null, (found[1] ?? found[2]).trim() || " ")],
  [/\*\*([^]+?)\*\*(?!\*)/, (found) => h("strong", null, inline(found[1]))],
  [/__([^]+?)__(?!_)/, (found) => h("u", null, inline(found[1]))],
  [/~~([^]+?)~~/, (found) => h("s", null, inline(found[1]))],
  [/\|\|([^]+?)\|\|/, (found) => h("span", { class: "spoiler", tabindex: "0" }, inline(found[1]))],
  [/\*(?=\S)([^*]+?)\*(?!\*)/, (found) => h("em", null, inline(found[1]))],
  [/(?<![\p{L}\p{N}])_(?=\S)([^_]+?)_(?![\p{L}\p{N}])/u, (found) => h("em", null, inline(found[1]))],
  [/\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/, (found) => outside(found[2], inline(found[1]))],
  [/<(https?:\/\/[^\s>]+)>|(https?:\/\/[^\s<>]+[^\s<>.,:;!?)\]'"])/, (found) => outside(found[1] ?? found[2])],
  [/<@!?(\d+)>/, (found) => h("span", { class: "mention" }, `@${person(found[1]).name}`)],
  [/<@&(\d+)>/, (found) => h("span", { class: "mention" }, `@${named(state.place.roles, found[1])}`)],
  [/<#(\d+)>/, (found) => h("span", { class: "mention" }, `#${named(state.place.channels, found[1])}`)],
  [/<\/([^:>]+):\d+>/, (found) => h("span", { class: "mention" }, `/${found[1]}`)],
  [/<a?:(\w+):\d+>/, (found) => `:${found[1]}:`],
  [/<t:(-?\d+)(?::(\w))?>/, (found) => h("time", { class: "stamp", title: new Date(found[1] * 1000).toLocaleString(locale) }, stamp(new Date(found[1] * 1000), found[2]))],
];

function inline(text) {
  let first = null;
  for (const [pattern, make] of INLINE) {
    const found = pattern.exec(text);
    if (found && (!first || found.index < first.found.index)) first = { found, make };
  }
  if (!first) return text ? [text] : [];
  const { found, make } = first;
  const before = text.slice(0, found.index);
  return [before, make(found), inline(text.slice(found.index + found[0].length))].flat(9).filter(Boolean);
}

function outside(url, children = [url]) {
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, children);
}

function named(things, id) {
  return things.find((each) => each.id === id)?.name || "unknown";
}

function markdown(text) {
  return text.split(/```(?:\w*\n)?([^]*?)```/).map((piece, n) => (n % 2 ? h("pre", null, piece.replace(/\n$/, "")) : lines(piece)));
}

function lines(text) {
  const found = [];
  text.replace(/^\n|\n$/g, "").split("\n").forEach((line, n) => {
    const marked = /^(#{1,3}|-#|>|[-*]|\d+\.) (.*)$/.exec(line);
    if (marked && marked[1] === "-#") found.push(h("small", { class: "sub" }, inline(marked[2])));
    else if (marked?.[1].startsWith("#")) found.push(h(`h${marked[1].length + 2}`, null, inline(marked[2])));
    else if (marked && marked[1] === ">") found.push(h("blockquote", null, inline(marked[2])));
    else if (marked) found.push(h("p", { class: "item" }, marked[1].length > 1 ? `${marked[1]} ` : "• ", inline(marked[2])));
    else if (line || n) found.push(h("p", null, inline(line)));
  });
  return found;
}

function stamp(time, style) {
  const long = { D: { dateStyle: "long" }, d: { dateStyle: "short" }, T: { timeStyle: "medium" }, t: { timeStyle: "short" }, F: { dateStyle: "full", timeStyle: "short" } };
  if (style !== "R") return time.toLocaleString(locale, long[style] || { dateStyle: "long", timeStyle: "short" });
  const seconds = (time - Date.now()) / 1000;
  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) || ["second", 1];
  return new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

// ---------------------------------------------------------------- staying where one reads
function settle() {
  notice();
  keepPlace();
}

function keepPlace() {
  const item = wanted && at(`m${wanted}`);
  if (item) {
    const last = item === at("messages").lastElementChild;
    shown.add(wanted);
    wanted = "";
    stuck = last && item.offsetHeight <= log.clientHeight;
    if (!stuck) item.scrollIntoView({ block: last ? "start" : "nearest" });
  }
  if (stuck) log.scrollTop = log.scrollHeight;
  if (stuck) at("newer").hidden = true;
  scrolled = log.scrollTop;
}

// Only a move upwards is somebody's; that the end is elsewhere may be because the messages have grown.
function notice() {
  if (log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX) stuck = true;
  else if (log.scrollTop < scrolled - 1) stuck = false;
  if (stuck) at("newer").hidden = true;
  scrolled = log.scrollTop;
}

log.addEventListener("scroll", notice);
new ResizeObserver(() => calmly(settle)).observe(at("messages"));
new ResizeObserver(() => calmly(settle)).observe(log);
at("newer").addEventListener("click", () => {
  stuck = true;
  settle();
});
at("older").addEventListener("click", () => {
  state.count += OLDER_COUNT;
  connect();
});
setInterval(render, 20000); // "2 minutes ago"

// Bring a message into view, but only once: meanwhile one may have scrolled elsewhere.
function reveal(id) {
  if (!shown.has(id)) wanted = id;
  render();
}

// ---------------------------------------------------------------- the connection
function connect() {
  if (socket) socket.onclose = socket.onmessage = null;
  socket?.close();
  const query = new URLSearchParams({ as: state.as, channel: state.channel, count: state.count, lang: me.get("lang") || "" });
  socket = new WebSocket(`${location.href.replace(/[?#].*/, "").replace(/^http/, "ws")}live?${query}`);
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = () => {
    lostSince ||= Date.now();
    if (Date.now() - lostSince > LOST_MS) lose();
    setTimeout(connect, AGAIN_MS);
  };
}

function lose() {
  at("lost").hidden = false;
}

function hear(news) {
  if (news.version) {
    if (news.version !== document.body.dataset.version) return location.reload();
    [lostSince, fresh] = [0, true];
    at("lost").hidden = true;
    state.channel = news.channel;
  }
  Object.assign(state.place, news.place);
  if (news.place?.me) {
    state.as = person(news.place.me).name;
    history.replaceState(null, "", address({}));
  }
  if (news.put) receive(news);
  render();
}

function receive({ put, gone, more }) {
  const known = fresh ? new Set(put.map((message) => message.id)) : new Set(state.messages.keys());
  const [first] = state.messages.keys();
  if (fresh && put.length && !put.some((message) => state.messages.has(message.id))) reveal(put[put.length - 1].id);
  if (fresh) state.messages.clear();
  for (const id of gone) state.messages.delete(id);
  for (const message of put) {
    const added = !known.has(message.id) && (!first || BigInt(message.id) > BigInt(first));
    state.messages.set(message.id, message);
    if (added && (message.for === state.place.me || message.answers?.author === state.place.me)) reveal(message.id);
    else if (added && !stuck) at("newer").hidden = false;
  }
  [fresh, state.more] = [false, more];
}

// ---------------------------------------------------------------- acting
async function act(what, files = []) {
  const form = new FormData();
  form.append("what", JSON.stringify({ as: state.as, channel: state.channel, lang: me.get("lang") || "", ...what }));
  for (const [name, file] of files) form.append(name, file, file.name);
  let response;
  try {
    response = await fetch("act", { method: "POST", body: form });
  } catch {
    lose();
    return { refused: t("Easel isn't running, so nothing was sent. Try again once it's back.") };
  }
  if (response.status === 413) return { refused: t("This file is too large.") };
  const answer = await response.json().catch(() => ({ refused: t("Something went wrong. Reload the page and try again.") }));
  if (answer.form) openForm(answer.form);
  else if (answer.message) reveal(answer.message);
  return answer;
}

function say(text) {
  at("said").hidden = !text;
  at("said").textContent = text || "";
}

async function press(item, what, mark) {
  say("");
  state.busy.add(mark);
  render();
  const { refused } = await act({ message: item.id.slice(1), ...what });
  state.busy.delete(mark);
  render();
  if (refused) say(refused);
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-press], [data-dismiss], [data-menu], [data-reply], [data-picture], [data-channel], [data-chosen], .spoiler");
  for (const open of document.querySelectorAll("details[open]")) if (!open.contains(event.target)) close(open);
  if (!target) return;
  const item = target.closest("li.message");
  const data = target.dataset;
  if (target.classList.contains("spoiler") && !target.classList.contains("seen")) {
    event.preventDefault();
    target.classList.add("seen");
  } else if (data.press) press(item, { do: "press", id: data.press }, `${item.id.slice(1)} ${data.press}`);
  else if (data.menu) {
    target.closest("details").open = false;
    press(item, { do: "menu", name: data.menu }, "menu");
  } else if (data.chosen) close(target.closest("details"));
  else if (data.dismiss) dismiss(data.dismiss);
  else if (data.reply) reply(data.reply);
  else if (data.picture && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    openPicture(target);
  } else if (data.channel) enter({ channel: data.channel });
});

document.addEventListener("change", (event) => {
  const details = event.target.closest("li.message details.select");
  if (details && !details.dataset.many) close(details);
  else if (details) details.changed = true;
  if (details && !details.dataset.many) send(details);
});

function close(details) {
  details.open = false;
  if (details.dataset.many && details.changed && details.closest("li.message")) send(details);
  details.changed = false;
}

document.addEventListener("toggle", (event) => event.target.open && event.target.lastElementChild.scrollIntoView({ block: "nearest" }), true);

function send(details) {
  const values = chosenIn(details);
  const least = Number(details.dataset.least);
  if (values.length < least) return say(t("Choose at least {least}.", { least }));
  press(details.closest("li.message"), { do: "choose", id: details.dataset.select, values }, details.dataset.select);
}

function dismiss(id) {
  state.hidden.add(id);
  sessionStorage.setItem("dismissed", JSON.stringify([...state.hidden].slice(-100)));
  render();
}

function enter(values) {
  Object.assign(state, { messages: new Map(), count: FIRST_COUNT, answering: "", ...values });
  history.replaceState(null, "", address({}));
  [stuck, wanted] = [true, ""];
  say("");
  connect();
}

at("as").addEventListener("change", () => enter({ as: at("as").value, channel: "" }));

function openPicture(link) {
  const [img, open] = [at("picture").querySelector("img"), at("picture").querySelector("a")];
  img.src = open.href = link.href;
  img.alt = link.querySelector("img").alt;
  at("picture").showModal();
}

at("picture").addEventListener("click", (event) => event.target.localName !== "a" && at("picture").close());

// ---------------------------------------------------------------- fields of commands and forms
function node(tag, props, ...children) {
  const made = document.createElement(tag);
  update(made, h(tag, props));
  made.append(...children.flat().filter(Boolean));
  return made;
}

// Each: an element, what it holds (undefined = nothing), and its files.
function textField({ value = "", long = true, required = false, minlength, maxlength, placeholder = "", numeric = false }) {
  const input = node(long ? "textarea" : "input", { rows: long && "1", required, minlength, maxlength, placeholder, inputmode: numeric && "decimal", autocomplete: "off" });
  input.value = value;
  return { input, value: () => input.value || undefined };
}

function listField(options, required) {
  const empty = !options.some((each) => each.chosen) && node("option", { value: "" }, required ? t("Choose …") : "—");
  const input = node("select", {}, empty, options.map((each) => node("option", { value: String(each.value), selected: Boolean(each.chosen) }, each.label)));
  return { input, value: () => input.value || undefined };
}

function yesNoField(required) {
  const { input } = listField([{ value: "yes", label: t("Yes") }, { value: "no", label: t("No") }], required);
  return { input, value: () => (input.value ? input.value === "yes" : undefined) };
}

function boxesField(options, type, name) {
  const boxes = options.map((each) => node("label", {}, node("input", { type, name, value: each.value, checked: Boolean(each.chosen) }), each.label, each.description && node("small", {}, each.description)));
  const input = node("div", { class: "boxes" }, boxes);
  return { input, value: () => [...input.querySelectorAll("input:checked")].map((box) => box.value) };
}

function fileField(many) {
  const input = node("input", { type: "file", multiple: many, accept: "image/*" });
  return { input, value: () => undefined, files: () => [...input.files] };
}

function optionField(option) {
  const { people, roles, channels } = state.place;
  const things = { 6: people, 7: channels.filter((each) => !each.dm), 8: roles, 9: [...people, ...roles] }[option.type];
  if (things) return listField(things.map((each) => ({ value: each.id, label: each.name })), option.required);
  if (option.choices?.length) return listField(option.choices.map((each) => ({ value: each.value, label: each.name })), option.required);
  if (option.type === 5) return yesNoField(option.required);
  if (option.type === 11) return fileField(false);
  const made = textField({ long: option.type === 3 && !option.autocomplete, maxlength: option.max_length, numeric: option.type !== 3 });
  if (option.autocomplete) completing(option, made);
  return made;
}

function wrongIn(option, value) {
  if (value === undefined || value === "") return option.required ? t("Fill in {name}.", option) : "";
  if (option.type !== 4 && option.type !== 10) return "";
  const number = Number(value);
  if (!Number.isFinite(number) || (option.type === 4 && !Number.isInteger(number))) return t(option.type === 4 ? "{name} takes a whole number." : "{name} takes a number.", option);
  if (number < (option.min_value ?? -Infinity) || number > (option.max_value ?? Infinity)) return t("{name} takes {low} to {high}.", { name: option.name, low: option.min_value ?? "", high: option.max_value ?? "∞" });
  return "";
}

// ---------------------------------------------------------------- the list of suggestions
let items = [];
let active = 0;

function suggest(found) {
  [items, active] = [found, 0];
  at("list").hidden = !found.length;
  at("list").replaceChildren(...found.map((each, n) => node("button", { type: "button", role: "option", "data-item": String(n), "aria-selected": n === 0 ? "true" : "false" }, node("b", {}, each.label), each.note && node("span", {}, each.note))));
}

function move(by) {
  active = (active + by + items.length) % items.length;
  [...at("list").children].forEach((each, n) => each.setAttribute("aria-selected", String(n === active)));
  at("list").children[active].scrollIntoView({ block: "nearest" });
}

function pick(n) {
  const item = items[n];
  suggest([]);
  item?.pick();
}

// A press keeps the focus where one types.
at("list").addEventListener("pointerdown", (event) => event.pointerType === "mouse" && event.preventDefault());
at("list").addEventListener("click", (event) => {
  const item = event.target.closest("[data-item]");
  if (item) pick(Number(item.dataset.item));
});

function completing(option, made) {
  const { input } = made;
  let timer = 0;
  let chosen = null;
  const ask = async () => {
    const { command } = state;
    const { choices: found } = await act({ do: "complete", name: command.name, option: option.name, typed: input.value, options: typed() });
    if (document.activeElement === input) suggest((found || []).map((each) => ({ label: each.name, pick: () => ([chosen, input.value] = [each, each.name]) })));
  };
  input.addEventListener("input", () => {
    chosen = null;
    clearTimeout(timer);
    timer = setTimeout(ask, TYPING_MS);
  });
  input.addEventListener("focus", ask);
  made.value = () => (chosen && chosen.name === input.value ? String(chosen.value) : input.value || undefined);
}

// ---------------------------------------------------------------- the line at the bottom
const line = at("line");
let fields = new Map(); // of the command that is being filled in, by option
let sending = false;

function begin(command, rest = "") {
  state.command = command;
  reply("");
  fields = new Map();
  line.value = "";
  at("composer").classList.add("filling");
  at("command").hidden = false;
  at("command").textContent = `/${command.name}`;
  at("fields").replaceChildren();
  suggest([]);
  command.options.filter((option) => option.required).forEach(addField);
  if (!fields.size && command.options.length === 1) addField(command.options[0]);
  const [first] = fields.values();
  if (first && rest && "value" in first.input) first.input.value = rest;
  offerOptions();
  grow(first?.input);
  (first?.input || at("send")).focus();
}

function addField(option) {
  const made = optionField(option);
  fields.set(option.name, made);
  made.input.setAttribute("aria-label", `${option.name}: ${option.description}`);
  made.input.title = option.description;
  made.input.dataset.option = option.name;
  at("fields").append(node("label", { class: option.type === 3 && !option.choices?.length ? "wide" : "" }, node("span", {}, option.name), made.input));
  return made;
}

function offerOptions() {
  const left = state.command.options.filter((option) => !fields.has(option.name));
  at("options").hidden = false;
  at("options").replaceChildren(node("span", {}, state.command.description), ...left.map((option) => node("button", { type: "button", "data-add": option.name, title: option.description }, `+ ${option.name}`)));
}

function leave() {
  state.command = null;
  fields = new Map();
  at("composer").classList.remove("filling");
  at("command").hidden = at("options").hidden = true;
  at("fields").replaceChildren(line);
  line.value = "";
  suggest([]);
  grow(line);
  line.focus();
}

function reply(id) {
  if (id && state.command) leave();
  state.answering = id;
  if (id) line.focus();
  render();
}

function typed() {
  const found = {};
  for (const [name, made] of fields) if (made.value() !== undefined) found[name] = made.value();
  return found;
}

function read() {
  const text = line.value;
  grow(line);
  if (!text.startsWith("/")) return suggest(mentions(text));
  const said = text.slice(1).toLowerCase();
  const whole = state.place.slash.filter((each) => said.startsWith(`${each.name} `)).sort((a, b) => b.name.length - a.name.length)[0];
  if (whole) return begin(whole, text.slice(whole.name.length + 2).replace(/^prompt:\s*/, ""));
  const fits = state.place.slash.filter((each) => each.name.startsWith(said));
  const others = state.place.slash.filter((each) => !fits.includes(each) && each.name.includes(said));
  suggest([...fits, ...others].map((each) => ({ label: `/${each.name}`, note: each.description, pick: () => begin(each) })));
}

// Who may be meant by the "@" that one has just typed.
function mentions(text) {
  const name = text.slice(0, line.selectionStart).match(/(?:^|\s)@(\S*)$/)?.[1].toLowerCase();
  if (name === undefined) return [];
  const fits = state.place.people.filter((each) => each.name.toLowerCase().startsWith(name)).sort((a, b) => b.bot - a.bot);
  return fits.map((each) => ({ label: `@${each.name}`, pick: () => mention(each.name, name.length + 1) }));
}

function mention(name, typedCount) {
  line.setRangeText(`@${name} `, line.selectionStart - typedCount, line.selectionStart, "end");
  line.focus();
}

function mentioned(text) {
  const named = (name) => state.place.people.find((each) => each.name.toLowerCase() === name.toLowerCase());
  return text.replace(/(?<![\p{L}\p{N}])@([\p{L}\p{N}]+)/gu, (said, name) => (named(name) ? `<@${named(name).id}>` : said));
}

function grow(input) {
  if (input?.localName !== "textarea") return;
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight, 160)}px`;
}

async function submit() {
  if (sending) return;
  const { command } = state;
  let what = { do: "say", text: mentioned(line.value.trim()), answers: state.messages.has(state.answering) ? state.answering : "" };
  let files = [...at("file").files].map((file) => ["files", file]);
  if (command) {
    what = { do: "run", name: command.name, options: typed() };
    files = [...fields].flatMap(([name, made]) => (made.files?.() || []).map((file) => [name, file]));
    for (const [name, made] of fields) {
      const option = command.options.find((each) => each.name === name);
      const wrong = made.files ? option.required && !made.files().length && t("Choose a file for {name}.", { name }) : wrongIn(option, made.value());
      if (wrong) return made.input.focus(), say(wrong);
    }
  } else if (what.text.startsWith("/")) return say(t("There is no command {name}. Type / to see them all.", { name: what.text.split(" ")[0] }));
  else if (!what.text && !files.length) return;
  sending = true;
  say("");
  const { refused } = await act(what, files);
  sending = false;
  if (refused) return say(refused);
  at("file").value = "";
  showAttached();
  reply("");
  leave();
}

function showAttached() {
  const names = [...at("file").files].map((file) => file.name);
  at("attached").hidden = !names.length;
  at("attached").textContent = names.length ? `📎 ${names.join(", ")}` : "";
}

function attach(files) {
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  if (!transfer.files.length) return;
  let input = at("file");
  if (state.command) {
    const options = state.command.options.filter((option) => option.type === 11);
    const empty = options.find((option) => !fields.get(option.name)?.input.files.length);
    if (!empty) return;
    input = (fields.get(empty.name) || addField(empty)).input;
    offerOptions();
  }
  input.files = transfer.files;
  showAttached();
}

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
at("composer").addEventListener("input", (event) => (event.target === line ? read() : grow(event.target)));
at("composer").addEventListener("keydown", (event) => {
  const open = !at("list").hidden;
  if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) move(event.key === "ArrowDown" ? 1 : -1);
  else if (open && (event.key === "Enter" || event.key === "Tab") && !event.isComposing) pick(active);
  else if (event.key === "Escape") open ? suggest([]) : state.answering ? reply("") : leave();
  else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.localName !== "button") submit();
  else if (event.key === "Backspace" && state.command && event.target.value === "" && event.target.dataset.option === fields.keys().next().value) leave();
  else return;
  event.preventDefault();
});
at("slash").addEventListener("click", () => {
  leave();
  line.value = "/";
  read();
});
at("command").addEventListener("click", leave);
at("answering-not").addEventListener("click", () => reply(""));
at("options").addEventListener("click", (event) => {
  const name = event.target.dataset.add;
  if (!name) return;
  const made = addField(state.command.options.find((option) => option.name === name));
  offerOptions();
  made.input.focus();
});
at("file").addEventListener("change", showAttached);
addEventListener("paste", (event) => event.clipboardData.files.length && attach(event.clipboardData.files));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  attach(event.dataTransfer.files);
});
addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, button, a, summary, dialog, label");
  if (!typing && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) (fields.values().next().value?.input || line).focus();
});

// ---------------------------------------------------------------- forms
const FORM_FIELDS = {
  4: (each) => textField({ value: each.value ?? each.default ?? "", long: each.style === 2, required: each.required !== false, minlength: each.min_length || undefined, maxlength: each.max_length, placeholder: each.placeholder }),
  19: (each) => fileField((each.max_values ?? 1) > 1),
  21: (each) => {
    const made = boxesField(each.options.map((option) => ({ ...option, chosen: option.default })), "radio", each.custom_id);
    return { input: made.input, value: () => made.value()[0] };
  },
  22: (each) => boxesField(each.options.map((option) => ({ ...option, chosen: option.default })), "checkbox", each.custom_id),
  23: (each) => {
    const input = node("input", { type: "checkbox", checked: Boolean(each.default) });
    return { input, value: () => input.checked };
  },
};

function formSelect(each) {
  if ((each.max_values ?? 1) > 1) return boxesField(choices(each), "checkbox", each.custom_id);
  const made = listField(choices(each), each.required !== false);
  return { input: made.input, value: () => (made.value() === undefined ? [] : [made.value()]) };
}

function openForm(form) {
  const found = new Map();
  const controls = form.components.flatMap((each) => {
    if (each.type === 10) return [node("p", {}, each.content)];
    const inner = each.component || each.components[0];
    const made = (FORM_FIELDS[inner.type] || formSelect)(inner);
    found.set(inner.custom_id, { ...made, required: inner.required !== false });
    return [node("label", { class: "field" }, node("b", {}, each.label || inner.label || ""), each.description && node("small", {}, each.description), made.input)];
  });
  const wrong = node("p", { class: "wrong", role: "alert" });
  const cancel = node("button", { type: "button", class: "button style2" }, "Cancel");
  const body = node("form", { method: "dialog" }, node("h2", { id: "form-title" }, form.title), controls, wrong, node("div", { class: "row" }, cancel, node("button", { type: "submit", class: "button style1" }, "Submit")));
  cancel.addEventListener("click", () => at("form").close());
  body.addEventListener("submit", (event) => {
    event.preventDefault();
    sendForm(form.key, found, wrong);
  });
  at("form").replaceChildren(body);
  at("form").showModal();
  body.querySelectorAll("textarea").forEach(grow);
  body.addEventListener("input", (event) => grow(event.target));
}

async function sendForm(key, found, wrong) {
  const [values, files] = [{}, []];
  for (const [name, made] of found) {
    if (made.files) files.push(...made.files().map((file) => [name, file]));
    else values[name] = made.value() ?? "";
    if (made.files && made.required && !made.files().length) return (wrong.textContent = t("Choose a file."));
  }
  wrong.textContent = "";
  const { refused, form } = await act({ do: "submit", form: key, values }, files);
  if (refused) wrong.textContent = refused;
  else if (!form) at("form").close();
}

connect();
