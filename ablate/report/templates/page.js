// What the page does beyond being read: values under the pointer, variants muted by a click on any
// legend, tables that sort, filter and copy, the place in the contents. It fetches nothing.
"use strict";
(() => {
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const names = JSON.parse(document.getElementById("names").textContent);
  const muted = new Set();
  document.documentElement.classList.add("live");

  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Legends: one set of muted names for all plots.
  const mute = (key) => {
    if (!muted.delete(key)) muted.add(key);
    const off = muted.has(key);
    for (const each of all(`.plot .k${key}`)) each.classList.toggle("muted", off);
    for (const each of all(`[data-key="${key}"]`)) each.setAttribute("aria-pressed", String(!off));
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-key]");
    if (button) mute(Number(button.dataset.key));
  });

  // Hover: the nearest point that a plot tells, within this many units of its SVG.
  const REACH = 14;
  const tip = document.getElementById("tip");
  const number = (value) => String(value).replace("-", "−");

  const points = (told) => told.points.flatMap(([axis, key, label, at, unit, sideways, xs, ys]) => {
    const [x0, kx, logx, y0, ky, logy, ...box] = told.axes[axis];
    const place = (value, offset, factor, log) => offset + factor * (log ? Math.log10(value) : value);
    const found = [];
    ys.forEach((y, index) => {
      const x = typeof xs === "number" ? index : xs[index];
      if (x === null || y === null) return;
      const [px, py] = [place(x, x0, kx, logx), place(y, y0, ky, logy)];
      if (px < box[0] - 1 || px > box[2] + 1 || py < box[1] - 1 || py > box[3] + 1) return;
      found.push({ key, px, py, words: () => {
        const own = Array.isArray(label) ? label[index] : label;
        const value = `${number(sideways ? x : y)}${unit ? ` ${unit}` : ""}`;
        const other = at ? `${at} ${number(sideways ? y : x)}` : "";
        return [names[key], own, other, value].filter(Boolean).join(" · ");
      } });
    });
    return found;
  });

  for (const plot of all(".plot")) {
    const script = plot.nextElementSibling;
    const svg = plot.querySelector("svg");
    if (!script || script.type !== "application/json") continue;
    let known = null;
    const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    ring.setAttribute("r", "5");
    ring.setAttribute("class", "found");
    const leave = () => { ring.remove(); tip.hidden = true; };
    plot.addEventListener("pointerleave", leave);
    for (const kind of ["pointermove", "pointerdown"]) plot.addEventListener(kind, (event) => {
      known ??= points(JSON.parse(script.textContent));
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      let best = null, least = REACH;
      for (const each of known) {
        const far = Math.hypot(each.px - at.x, each.py - at.y);
        if (far < least && !muted.has(each.key)) [best, least] = [each, far];
      }
      if (!best) return leave();
      ring.setAttribute("cx", best.px);
      ring.setAttribute("cy", best.py);
      svg.append(ring);
      tip.textContent = best.words();
      tip.hidden = false;
      const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 4);
      const top = event.clientY + 18 + tip.offsetHeight > innerHeight
        ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18;
      tip.style.left = `${Math.max(left, 4)}px`;
      tip.style.top = `${top}px`;
    });
  }

  // Tables.
  const value = (text) => {
    const found = text.replace(/−/g, "-").replace(/,(?=\d{3})/g, "").match(/^[<+]?\s*[+-]?\d+(\.\d+)?(e[+-]?\d+)?/i);
    return found ? parseFloat(found[0].replace(/^<\s*/, "")) : null;
  };
  const compare = (one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a !== null && b !== null) return a - b || one.localeCompare(other);
    if (a !== null || b !== null) return a === null ? 1 : -1;
    return one.localeCompare(other, undefined, { numeric: true });
  };
  const cells = (row) => [...row.cells].map((each) => each.textContent.trim());

  const sort = (table, column, heading) => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const each of all("[aria-sort]", table)) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row) => [cells(row)[column], row]);
    const missing = (text) => text === "–" || text === "";
    rows.sort(([a], [b]) => missing(a) - missing(b) || (descending ? -compare(a, b) : compare(a, b)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };

  const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "−": "$-$", "–": "--", "±": "$\\pm$", "×": "$\\times$", "<": "\\textless{}", ">": "\\textgreater{}" };
  const latex = (text) => text.replace(/[\\{}$&#%_~^<>−–±×]/g, (each) => LATEX[each] ?? `\\${each}`);
  const FORMATS = {
    TSV: (rows) => rows.map((row) => row.join("\t")).join("\n"),
    Markdown: (rows, sides) => {
      const line = (row) => `| ${row.map((each) => each.replace(/\|/g, "\\|")).join(" | ")} |`;
      const rule = `|${sides.map((right) => (right ? "---:" : "---")).join("|")}|`;
      return [line(rows[0]), rule, ...rows.slice(1).map(line)].join("\n");
    },
    LaTeX: (rows, sides) => {
      const line = (row) => `${row.map(latex).join(" & ")} \\\\`;
      return [`\\begin{tabular}{@{}${sides.map((right) => (right ? "r" : "l")).join("")}@{}}`, "\\toprule",
        line(rows[0]), "\\midrule", ...rows.slice(1).map(line), "\\bottomrule", "\\end{tabular}"].join("\n");
    },
  };

  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = made("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };

  for (const table of all("table.data")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = made("button", { type: "button", textContent: heading.textContent });
      if (!heading.textContent) button.setAttribute("aria-label", "Mark");
      button.addEventListener("click", () => sort(table, column, heading));
      heading.replaceChildren(button);
    });
    const tools = made("div", { className: "tools" });
    const title = table.caption.textContent;
    if (table.tBodies[0].rows.length > 8) {
      const input = made("input", { type: "search", placeholder: "Filter rows" });
      input.setAttribute("aria-label", `Filter the rows of ${title}`);
      input.addEventListener("input", () => {
        const wanted = input.value.toLowerCase();
        for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      });
      tools.append(input);
    }
    tools.append("Copy as");
    for (const [format, write] of Object.entries(FORMATS)) {
      const button = made("button", { type: "button", textContent: format });
      button.setAttribute("aria-label", `Copy ${title} as ${format}`);
      button.addEventListener("click", async () => {
        const rows = [headings.map((each) => each.textContent.trim()),
          ...[...table.tBodies[0].rows].filter((row) => !row.hidden).map(cells)];
        await copy(write(rows, headings.map((each) => !each.classList.contains("left"))));
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = format; }, 1500);
      });
      tools.append(button);
    }
    table.before(tools);
  }

  // Contents: where the reader is; the folded list closes behind a choice.
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting)
      for (const link of all("nav a")) {
        if (link.hash === `#${entry.target.id}`) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
  }, { rootMargin: "-10% 0px -75% 0px" });
  for (const each of all("main > section")) seen.observe(each);
  for (const each of all("details.contents a"))
    each.addEventListener("click", () => { each.closest("details").open = false; });

  // What is folded is printed, too; a link into it opens it.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("main details:not([open])");
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of closed) each.open = false; });
})();
