// Keeps the live page up to date. Each event carries one section, rendered and
// escaped by the server exactly as in the page itself; without this script the
// page is the same, as of its loading.
"use strict";

const dot = document.getElementById("dot");
const label = document.getElementById("stream");
let skew = Date.now() - Number(document.body.dataset.now); // this clock minus the node's

function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 48 * 3600) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

function tick() {
  const now = Date.now() - skew;
  for (const t of document.querySelectorAll("time[data-t]")) {
    t.textContent = age(now - Number(t.dataset.t));
  }
}

const events = new EventSource("/events");
for (const part of ["neighbors", "commits", "interfaces", "counters"]) {
  events.addEventListener(part, (e) => {
    skew = Date.now() - Number(e.lastEventId);
    document.getElementById(part).innerHTML = e.data;
    tick();
  });
}
events.onopen = () => { dot.className = "dot on"; label.textContent = "live"; };
events.onerror = () => { dot.className = "dot off"; label.textContent = "connection lost, trying again"; };
setInterval(tick, 1000);
