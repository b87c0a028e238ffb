// The page's own program: three ways to receive messages, one to write them.
"use strict";

const words = document.body.dataset;
const at = (id) => document.getElementById(id);
const say = (id, text) => { at(id).textContent = text; };
const rest = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

let cursor = "";          // id of the last message that is shown
let attempt = 0;          // raised by each new connection; older ones are ignored
let failures = 0;         // in a row, of the current transport
let place = 0;            // of the current transport in the list

// Each returns how it ends early; it calls news() with what came and ended() once.
const transports = [
  { name: "ws", title: "WebSocket", open(news, ended) {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/ws?after=${cursor}`);
    // A connection that was cut silently looks open for ever: the echo tells.
    let echoed = true;
    const pulse = setInterval(() => {
      if (!echoed) { socket.onclose(); socket.close(); return; }
      echoed = false;
      socket.send("still there?");
    }, 20000);
    const timeout = setTimeout(() => socket.readyState === 0 && socket.close(), 5000);
    socket.onmessage = (event) => {
      if (event.data === "still there?") { echoed = true; } else { news(JSON.parse(event.data)); }
    };
    socket.onclose = () => { clearInterval(pulse); clearTimeout(timeout); ended(); };
    return () => socket.close();
  } },
  { name: "events", title: "Server-Sent Events", open(news, ended) {
    const source = new EventSource(`/events?after=${cursor}`);
    source.onmessage = (event) => news(JSON.parse(event.data));
    // It would reconnect by itself, but to the URL that this page asked first.
    source.onerror = () => { source.close(); ended(); };
    return () => source.close();
  } },
  { name: "poll", title: words.polling, open(news, ended) {
    const aborted = new AbortController();
    (async () => {
      try {
        // The first answer comes at once, to say where this page is.
        for (let wait = 0; !aborted.signal.aborted; wait = 1) {
          const answer = await fetch(`/messages?after=${cursor}&wait=${wait}`, { signal: aborted.signal });
          if (!answer.ok) { break; }
          news(await answer.json());
        }
      } catch (problem) { /* ended */ }
      ended();
    })();
    return () => aborted.abort();
  } },
];

function show(found) {
  const list = at("messages");
  const low = list.scrollTop + list.clientHeight > list.scrollHeight - 40;
  if (found.reset && cursor) { line("gap", words.gap); }
  for (const message of found.messages) {
    if (cursor && !found.reset && !later(message.id, cursor)) { continue; }
    if (document.getElementById(`m${message.id}`)) { continue; }
    const item = line("", message.text);
    item.id = `m${message.id}`;
    const time = document.createElement("time");
    time.dateTime = new Date(1000 * message.at).toISOString();
    time.textContent = new Date(1000 * message.at).toLocaleTimeString(document.documentElement.lang);
    item.prepend(time);
  }
  cursor = found.cursor;
  while (list.children.length > 1000) { list.firstChild.remove(); }
  if (low) { list.scrollTop = list.scrollHeight; }
  say("port", found.here.port);
  say("release", found.here.release);
  say("connected", found.here.connected);
  say("notice", found.here.away ? words.away : "");
}

function line(kind, text) {
  const item = document.createElement("li");
  item.className = kind;
  item.append(text);
  at("messages").append(item);
  return item;
}

function later(one, other) {
  const [[a, b], [c, d]] = [one, other].map((id) => id.split("-").map(Number));
  return a > c || (a === c && b > d);
}

function connect() {
  const mine = ++attempt;
  const choice = at("choice").value;
  const transport = transports.find((one) => one.name === choice) || transports[place];
  let received = false;
  connect.end = transport.open((found) => {
    if (mine !== attempt) { return; }
    received = true;
    failures = 0;
    say("state", words.connected);
    at("state").className = "connected";
    say("transport", transport.title);
    show(found);
  }, () => {
    if (mine !== attempt) { return; }
    attempt += 1;
    say("state", words.back);
    at("state").className = "";
    failures += received ? 0 : 1;
    // A transport that has failed twice without a message is given up.
    if (failures > 1) { place = (place + 1) % transports.length; failures = 0; }
    // Not all pages reconnect at the same moment.
    setTimeout(connect, 200 + 1000 * Math.random());
  });
}

async function send(text) {
  // The same key again is the same message, so asking again is safe.
  const key = Array.from(crypto.getRandomValues(new Uint8Array(12)), (one) => one.toString(16)).join("-");
  let problem = words.unsent;
  for (let tries = 0; tries < 4; tries += 1) {
    if (tries) { await rest(tries / 2); }
    try {
      const answer = await fetch("/messages", { method: "POST", body: new URLSearchParams({ text, key }) });
      const found = await answer.json();
      if (!found.again) { return found.refused || ""; }
      problem = found.refused;
    } catch (unanswered) { /* no answer, or not the program's */ }
  }
  return problem;
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("text").value;
  const problem = await send(text);
  say("notice", problem);
  if (!problem && at("text").value === text) { at("text").value = ""; }
  at("text").focus();
});

at("choice").addEventListener("change", () => {
  place = failures = 0;
  attempt += 1;
  connect.end();
  connect();
});

// The lessons: what each port answers while one of them is at work.
for (const button of document.querySelectorAll(".lesson")) {
  button.addEventListener("click", async () => {
    const seen = new Map();
    let over = false;
    const asked = [];
    const lesson = fetch(`/${button.dataset.lesson}?seconds=3`).then((answer) => answer.json());
    lesson.finally(() => { over = true; }).catch(() => {});
    const table = at("ports");
    table.hidden = false;
    while (!over) {
      const begin = performance.now();
      asked.push(fetch("/where").then((answer) => answer.json()).then(({ port }) => {
        const one = seen.get(port) || { count: 0, slowest: 0 };
        seen.set(port, one);
        one.count += 1;
        one.slowest = Math.max(one.slowest, performance.now() - begin);
        table.tBodies[0].replaceChildren(...[...seen.keys()].sort().map((key) => {
          const row = document.createElement("tr");
          for (const cell of [key, seen.get(key).count, `${Math.round(seen.get(key).slowest)} ms`]) {
            row.insertCell().textContent = cell;
          }
          return row;
        }));
      }).catch(() => {}));
      await rest(0.1);
    }
    await Promise.all(asked);
    table.dataset.done = button.dataset.lesson;
  });
}

connect();
