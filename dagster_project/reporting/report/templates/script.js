"use strict";
// The list of accounts: filter, sort, and open what explains a score. Data travels in the page,
// packed (JSON, gzip, base64); text from it only ever becomes text, never markup.
(() => {
  const body = document.querySelector("#list tbody");
  if (!body || !document.getElementById("data-list")) return;
  const find = document.getElementById("find");
  const zone = document.getElementById("zone");
  const count = document.getElementById("count");
  const shown = document.getElementById("shown");
  const more = document.getElementById("more");
  const PAGE = 100;
  const LIST = { id: 0, name: 1, tier: 2, segment: 3, region: 4, owner: 5, arr: 6, renews: 7, score: 8,
    zone: 9, change: 10, costliest: 11, lost: 12, coverage: 13, reason: 14, open: 15, overdue: 16 };
  const DASH = "–";
  const opened = new Map();
  let data, order = [], visible = PAGE, sortBy = null, isDown = false, texts = [];

  async function unpack(id) {
    const packed = atob(document.getElementById(id).textContent.trim());
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function el(tag, options = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name === "text") made.textContent = value;
      else if (name === "class") made.className = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  const word = (place) => (place === null || place === undefined ? DASH : data.words[place].replaceAll("_", " "));
  const name = (text) => text.replaceAll("_", " ");
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const person = (place) => {
    if (place === null) return "nobody";
    const full = data.people[place];
    return full.split("@")[0] || full;
  };
  const fixed = (value, digits) =>
    value === null ? DASH : value.toFixed(digits).replace("-", "−").replace(/\B(?=(\d{3})+(?!\d))/g, digits ? "$&" : ",");
  const signed = (value, digits = 1) =>
    value === null ? DASH : (value >= 0 ? "+" : "") + fixed(value === 0 ? 0 : value, digits);
  const percent = (ratio, digits = 0) => (ratio === null ? DASH : `${fixed(100 * ratio, digits)}%`);
  const plural = (number, one) => `${number.toLocaleString("en-US")} ${one}${number === 1 ? "" : "s"}`;
  function money(value) {
    if (value === null) return DASH;
    if (value >= 999950) return `$${(value / 1e6).toFixed(1)}M`;
    if (value >= 1000) return `$${Math.round(value / 1e3)}k`;
    return `$${value}`;
  }
  function measured(value, unit) {
    if (value === null) return DASH;
    if (unit === "ratio") return percent(value, 0);
    return value.toLocaleString("en-US", { maximumFractionDigits: 2 }) + (unit === "days" ? " d" : "");
  }
  function badge(row) {
    const text = row[LIST.score] === null ? "unscored" : row[LIST.score].toFixed(1);
    const mark = el("span", { text: data.marks[row[LIST.zone]], "aria-hidden": "true" });
    const known = data.marks[row[LIST.zone]] ? data.zones[row[LIST.zone]] : "unscored";
    const made = el("span", { class: `zone z-${known}` }, mark, ` ${text}`);
    if (row[LIST.score] !== null) made.append(el("span", { class: "hidden", text: ` ${data.zones[row[LIST.zone]]}` }));
    return made;
  }

  // The list ------------------------------------------------------------------------------------

  function listRow(place) {
    const row = data.rows[place];
    const button = el("button", { type: "button", "aria-expanded": "false", text: row[LIST.name] });
    button.addEventListener("click", () => toggle(place));
    const loss = row[LIST.costliest] === null ? word(row[LIST.reason])
      : `${name(data.components[row[LIST.costliest]])} (−${fixed(row[LIST.lost], 1)})`;
    const owner = el("td", { class: "any", text: person(row[LIST.owner]) });
    if (row[LIST.owner] !== null) owner.title = data.people[row[LIST.owner]];
    return el("tr", { "data-row": place },
      el("th", { scope: "row", class: "any" }, button),
      el("td", { text: word(row[LIST.tier]) }), owner,
      el("td", { class: "right", text: money(row[LIST.arr]) }),
      el("td", { class: "right nowrap", text: row[LIST.renews] || DASH }),
      el("td", { class: "right" }, badge(row)),
      el("td", { class: "right", text: signed(row[LIST.change]) }),
      el("td", { text: loss }));
  }

  function select() {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    order = [];
    for (let place = 0; place < data.rows.length; place += 1) {
      if (zone.value !== "" && data.rows[place][LIST.zone] !== Number(zone.value)) continue;
      if (wanted.every((part) => texts[place].includes(part))) order.push(place);
    }
    if (sortBy !== null) {
      const value = (place) => {
        const cell = data.rows[place][sortBy];
        if (cell === null) return null;
        if (sortBy === LIST.tier) return data.words[cell];
        if (sortBy === LIST.owner) return data.people[cell];
        if (sortBy === LIST.costliest) return data.components[cell];
        return cell;
      };
      order.sort((left, right) => {
        const a = value(left), b = value(right);
        if (a === null || b === null) return (a === null) - (b === null) || left - right;
        const step = typeof a === "string" ? a.localeCompare(b, "en") : a - b;
        return (isDown ? -step : step) || left - right;
      });
    }
  }

  function draw() {
    const rows = order.slice(0, visible);
    opened.clear();
    body.replaceChildren(...rows.map(listRow));
    if (!rows.length) body.append(el("tr", {}, el("td", { colspan: "8", text: "No account fits." })));
    count.textContent = order.length === data.rows.length ? plural(order.length, "account")
      : `${plural(order.length, "account")} of ${data.rows.length.toLocaleString("en-US")}`;
    shown.textContent = order.length > rows.length ? `The first ${rows.length.toLocaleString("en-US")} are shown.`
      : "Open an account to see what makes its score and what moved it.";
    more.hidden = order.length <= rows.length;
  }

  function refresh() { visible = PAGE; select(); draw(); }

  // An account's explanation ---------------------------------------------------------------------

  function bar(share, row, width) {
    const SVG = "http://www.w3.org/2000/svg";
    const made = document.createElementNS(SVG, "svg");
    const box = (cls, length, fill) => {
      const rect = document.createElementNS(SVG, "rect");
      for (const [key, value] of Object.entries({ class: cls, width: length, height: 8, rx: 2, fill })) rect.setAttribute(key, value);
      made.append(rect);
    };
    for (const [key, value] of Object.entries({ class: "bar", viewBox: `0 0 ${width} 8`, width, height: 8, "aria-hidden": "true" })) made.setAttribute(key, value);
    box("track", width, "#E8ECF2");
    if (share !== null) box("fill", Math.max(0, Math.min(1, share)) * width, "#4E72B0");
    return made;
  }

  function line(scores) {
    const SVG = "http://www.w3.org/2000/svg", width = 300, height = 46;
    const made = document.createElementNS(SVG, "svg");
    const path = document.createElementNS(SVG, "path");
    let drawn = "", isOn = false;
    scores.forEach((score, at) => {
      if (score === null) { isOn = false; return; }
      drawn += `${isOn ? "L" : "M"}${(at * width / Math.max(scores.length - 1, 1)).toFixed(1)},${(1 + (height - 2) * (1 - score / 100)).toFixed(1)}`;
      isOn = true;
    });
    for (const [key, value] of Object.entries({ class: "line", d: drawn, fill: "none", stroke: "#1F2A37", "stroke-width": 1.6 })) path.setAttribute(key, value);
    for (const [key, value] of Object.entries({ class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" })) made.setAttribute(key, value);
    made.append(path);
    return made;
  }

  function heading(cells) {
    return el("thead", {}, el("tr", {}, ...cells.map((text, at) =>
      el("th", at ? { scope: "col", class: "right", text } : { scope: "col", text }))));
  }

  function measureTable(components, measures) {
    const table = el("tbody");
    components.forEach(([score, status, weight], place) => {
      table.append(el("tr", { class: "group" },
        el("th", { scope: "row", text: capital(name(data.components[place])) }),
        el("td", { class: "right" }, bar(score === null ? null : score / 100, null, 60)),
        el("td", { class: "right", text: score === null ? word(status) : fixed(score, 1) }),
        el("td", { class: "right", text: percent(weight) }),
        el("td", { class: "right", text: score === null ? DASH : fixed(score * weight, 1) })));
      for (const [measure, value, points, state, share, gives] of measures) {
        if (data.measureComponents[measure] !== place) continue;
        const isScored = word(state) === "scored";
        const title = el("th", { scope: "row", text: name(data.measures[measure]) });
        if (data.measureTexts[measure]) title.title = data.measureTexts[measure];
        table.append(el("tr", { class: "item" }, title,
          el("td", { class: "right", text: measured(value, data.measureUnits[measure]) }),
          el("td", { class: "right", text: isScored ? fixed(points, 1) : word(state) }),
          el("td", { class: "right", text: isScored ? percent(share, 1) : "" }),
          el("td", { class: "right", text: isScored ? fixed(gives, 1) : "" })));
      }
    });
    return el("table", {}, heading(["Measure", "Value", "Score", "Weight", "Points"]), table);
  }

  function explanation(row, parts) {
    const [components, measures, moves, actions, scores, stages, call, override] = parts;
    const left = el("div", {}, el("h3", { text: "What makes the score" }),
      el("p", { text: `Coverage ${percent(row[LIST.coverage])}: the share of the score's weight that is known.` }));
    if (override) left.append(el("p", { text: `Overridden: ${override}` }));
    left.append(measureTable(components, measures));
    const right = el("div");
    if (scores.some((score) => score !== null)) {
      right.append(el("h3", { text: "Score, last 180 days" }), line(scores),
        el("p", { class: "hidden", text: `Scores by week: ${scores.map((score) => score ?? "none").join(", ")}` }));
    }
    right.append(el("h3", { text: `What moved it in 30 days: ${signed(row[LIST.change])}` }));
    if (moves.length) {
      right.append(el("table", {}, el("tbody", {}, ...moves.map(([kind, cause, points]) => el("tr", {},
        el("th", { scope: "row", text: kind === null ? plural(cause, "smaller cause") : name(data.measures[cause]) }),
        el("td", { text: kind === null ? "" : word(kind) }),
        el("td", { class: "right", text: signed(points, 2) }))))));
    } else right.append(el("p", { text: "Nothing, or there is no score to compare with." }));
    right.append(el("h3", { text: "Stages" }));
    if (stages.length) {
      right.append(el("table", {}, el("tbody", {}, ...stages.map(([area, stage, age, readiness, next, flags]) => el("tr", {},
        el("th", { scope: "row", text: capital(word(area)) }),
        el("td", { text: `${word(stage)}, ${plural(age ?? 0, "day")}` }),
        el("td", { text: next === null ? "" : `${percent(readiness)} ready for ${word(next)}` }),
        el("td", { text: [flags & 1 ? "stalled" : "", flags & 2 ? "fell back" : ""].filter(Boolean).join(", ") }))))));
    } else right.append(el("p", { text: "No active solution area." }));
    const [type, due, adherence, missed] = call;
    right.append(el("h3", { text: "Calls" }), el("p", {
      text: (type === null ? "No call is due." : `Next: ${word(type)} on ${due}.`)
        + (adherence === null ? "" : ` ${percent(adherence)} of the closed slots were met`
        + (missed ? `, ${missed} missed in a row.` : ".")),
    }));
    right.append(el("h3", { text: `Open actions: ${row[LIST.open]}` + (row[LIST.overdue] ? `, ${row[LIST.overdue]} overdue` : "") }));
    if (actions.length) {
      right.append(el("table", {}, el("tbody", {}, ...actions.map(([what, severity, role, owner, since, until, late]) => el("tr", {},
        el("th", { scope: "row", text: word(what) }),
        el("td", { text: word(severity) }),
        el("td", { class: "any", text: owner === null ? `${word(role)} queue` : person(owner) }),
        el("td", { class: "nowrap", text: `due ${until}${late ? " ! late" : ""}` }))))));
    }
    return el("div", { class: "why" }, left, right);
  }

  async function toggle(place, isWanted) {
    const line = body.querySelector(`tr[data-row="${place}"]`);
    if (!line) return;
    const button = line.querySelector("button");
    const old = opened.get(place);
    if (old) {
      if (isWanted) return;
      old.remove();
      opened.delete(place);
      line.classList.remove("open");
      button.setAttribute("aria-expanded", "false");
      return;
    }
    const cell = el("td", { colspan: "8" });
    const detail = el("tr", { class: "explained" }, cell);
    opened.set(place, detail);
    line.after(detail);
    line.classList.add("open");
    button.setAttribute("aria-expanded", "true");
    const chunk = await unpack(`data-${Math.floor(place / data.chunkSize)}`);
    cell.append(explanation(data.rows[place], chunk[place % data.chunkSize]));
  }

  async function openFromAddress() {
    const found = /^#account=(.+)$/.exec(location.hash);
    if (!found) return;
    const id = decodeURIComponent(found[1]);
    const place = data.rows.findIndex((row) => row[LIST.id] === id);
    if (place < 0) return;
    find.value = ""; zone.value = "";
    select();
    visible = Math.max(PAGE, order.indexOf(place) + 1);
    draw();
    await toggle(place, true);
    const line = body.querySelector(`tr[data-row="${place}"]`);
    line.querySelector("button").focus({ preventScroll: true });
    line.scrollIntoView({ block: "start" });
  }

  function sortable(head) {
    const button = el("button", { type: "button", text: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const column = Number(head.dataset.column);
      isDown = sortBy === column ? !isDown : false;
      sortBy = column;
      for (const other of document.querySelectorAll("#list thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      refresh();
    });
  }

  async function start() {
    try {
      data = await unpack("data-list");
    } catch {
      shown.textContent = "This browser cannot open the packed list; a newer one can.";
      return;
    }
    texts = data.rows.map((row) => [row[LIST.id], row[LIST.name], word(row[LIST.tier]), word(row[LIST.segment]),
      word(row[LIST.region]), row[LIST.owner] === null ? "nobody" : data.people[row[LIST.owner]]].join(" ").toLowerCase());
    document.querySelectorAll("#list thead th").forEach(sortable);
    find.addEventListener("input", refresh);
    zone.addEventListener("change", refresh);
    document.querySelector(".filter").addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => { visible += PAGE; draw(); });
    window.addEventListener("hashchange", openFromAddress);
    refresh();
    await openFromAddress();
    document.documentElement.dataset.ready = "yes";
  }
  start();
})();
