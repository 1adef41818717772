// Identifying a recording, and comparing two.

import { follow, get } from "./api.js";
import { chooser } from "./chooser.js";
import { clock, count, icon, make, percent, readOut, ring } from "./dom.js";
import { Listening, catalogued, local } from "./listening.js";

const STAGES = { read: "Listening …", search: "Looking through the library …", compare: "Comparing …" };

/** Show the view; `id` names a recording of the catalogue to identify. */
export function identifyView(main, id) {
  let asking = null;
  let listening = null;
  const said = readOut();
  const result = make("div.stack");
  const choose = chooser(
    {
      title: "Which song is this?",
      text: "Drop a recording here: a cover, a concert, a demo, a clip. Drop two to compare them.",
    },
    (files) => (files.length > 1 ? compare(files[0], files[1]) : identify(files[0], files[0])),
    { most: 2, canRecord: true },
  );
  main.append(make("div.stack", {}, choose.element, said, result));

  function stop() {
    asking?.abort();
    listening?.close();
    listening = null;
  }

  async function ask(name, run) {
    stop();
    asking = new AbortController();
    const { signal } = asking;
    choose.shrink();
    const status = make("span.soft", {}, STAGES.read);
    const bar = make("progress", { max: 100, "aria-label": "Progress" });
    const list = make("ol.matches");
    const cancel = make("button", { type: "button", on: { click: () => { stop(); result.replaceChildren(); } } }, "Cancel");
    result.replaceChildren(
      make(
        "section.card.stack",
        {},
        make("div.row.between", {}, make("h2.cut.grow", {}, name), status, cancel),
        bar,
      ),
      list,
    );
    try {
      await run(signal, (line) => {
        status.textContent = STAGES[line.stage] ?? "";
        if (said.textContent !== status.textContent) said.textContent = status.textContent;
        if (!line.matches) return;
        bar.value = (100 * line.done) / line.of;
        list.replaceChildren(...line.matches.slice(0, 5).map((match) => make("li", {}, row(match))));
      });
    } catch (error) {
      if (signal.aborted) return;
      result.replaceChildren(make("p.problem", { role: "alert" }, error.message));
    }
  }

  function identify(source, file) {
    const name = file?.name ?? "Recording of the library";
    return ask(name, async (signal, onLine) => {
      const answer = await follow("api/identify", { file: source }, onLine, signal);
      const first = file ? local(file, answer.duration) : catalogued(await get(`api/recordings/${source}`, { signal }));
      const matches = file ? answer.matches : answer.matches.filter((match) => match.id !== source);
      showAnswer({ ...answer, matches }, first);
    });
  }

  function showAnswer(answer, first) {
    const list = make("ol.matches");
    for (const match of answer.matches) {
      const place = make("li.stack");
      const button = row(match, () => {
        const isOpen = button.getAttribute("aria-expanded") === "true";
        close();
        if (isOpen) return;
        button.setAttribute("aria-expanded", "true");
        const picture = (signal) => get(`api/answers/${answer.answer}/picture?recording=${match.id}`, { signal });
        listening = new Listening(first, catalogued(match), match, picture);
        place.append(make("section.card", { "aria-label": "Listen to both" }, listening.element));
      });
      place.append(button);
      list.append(place);
    }
    function close() {
      listening?.close();
      listening = null;
      for (const section of list.querySelectorAll("section")) section.remove();
      for (const button of list.querySelectorAll("button[aria-expanded]")) button.setAttribute("aria-expanded", "false");
    }
    const best = answer.matches[0];
    const kind = best?.verdict ?? "none";
    said.textContent = kind === "none" ? WORDS.none : `${wordsOf(best, kind)}: ${best.label}`;
    result.replaceChildren(
      make(
        "section.card.row.between",
        {},
        make("div.grow", {}, make("h2.cut", {}, first.label), make("p.soft.small.number", {}, clock(answer.duration))),
        verdict(best, kind),
      ),
      list,
    );
    if (kind === "none") return;
    list.querySelector("button").click();
    // The button that recorded has the focus yet, and Space would record again.
    if (choose.element.contains(document.activeElement)) listening.playButton.focus({ preventScroll: true });
  }

  function compare(one, other) {
    return ask(`${one.name} and ${other.name}`, async (signal, onLine) => {
      const answer = await follow("api/compare", { first: one, second: other }, onLine, signal);
      const picture = (leaving) => get(`api/answers/${answer.answer}/picture`, { signal: leaving });
      said.textContent = wordsOf(answer, answer.verdict);
      listening = new Listening(local(one, answer.seconds[0]), local(other, answer.seconds[1]), answer, picture);
      result.replaceChildren(
        make(
          "section.card.stack",
          {},
          make(
            "div.row.between",
            {},
            make("div.row.grow", {}, ring(answer.probability, kindOf(answer)), make("div", {}, make("h2", {}, "Two recordings"), relation(answer))),
            verdict(answer, answer.verdict),
          ),
          listening.element,
        ),
      );
    });
  }

  if (id) identify(id, null);
  return () => {
    stop();
    choose.close();
  };
}

function kindOf(match) {
  return match.same_recording ? "same" : match.verdict;
}

const WORDS = {
  version: "A version was found",
  unsure: "Perhaps a version",
  none: "No version was found",
};

function wordsOf(match, kind) {
  return match?.same_recording ? "The same recording" : WORDS[kind];
}

function verdict(match, kind) {
  const shown = match?.same_recording ? "same" : kind;
  const isSure = shown === "same" || shown === "version";
  return make(`span.verdict.${shown}`, {}, isSure ? icon("check") : null, wordsOf(match, kind));
}

const RELATIONS = { "same performance": "Same performance", "same artist": "Same artist" };

/** Return what kind of version it is, key, tempo and place in words. */
export function relation(match) {
  if (match.same_recording) return make("p.facts", {}, make("span", {}, "The same file"));
  if (match.tempo_ratio === null) return make("p.facts", {}, make("span", {}, "Nothing matches"));
  const key = match.transposition;
  const tempo = Math.round(100 * (match.tempo_ratio - 1));
  return make(
    "p.facts",
    {},
    match.relation in RELATIONS && make("span", {}, RELATIONS[match.relation]),
    make("span", {}, key ? `${count(Math.abs(key), "semitone")} ${key > 0 ? "higher" : "lower"}` : "Same key"),
    make("span", {}, tempo ? `${Math.abs(tempo)}% ${tempo > 0 ? "faster" : "slower"}` : "Same tempo"),
    make("span.number", {}, `${clock(match.query_start)}–${clock(match.query_end)} = ${clock(match.recording_start)}–${clock(match.recording_end)}`),
  );
}

function row(match, onClick) {
  const tag = onClick ? "button" : "div";
  const kind = kindOf(match);
  return make(
    `${tag}.match${kind === "none" ? ".weak" : ""}`,
    onClick ? { type: "button", "aria-expanded": "false", on: { click: onClick } } : {},
    ring(match.probability, kind),
    make(
      "span.grow",
      {},
      make("span.title.cut", { style: { display: "block" } }, match.label),
      match.is_named ? make("span.small.soft", {}, match.work) : null,
      relation(match),
    ),
    spans(match),
    make("span.small.soft", { title: "Similarity of the embeddings" }, `similar ${percent(Math.max(match.similarity, 0))}`),
  );
}

/** Return two bars with the stretches that match. */
function spans(match) {
  const longest = Math.max(match.query_end, match.duration);
  const bar = (kind, start, end) =>
    make(`span.span${kind}`, {}, make("i", { style: { left: `${(100 * start) / longest}%`, width: `${(100 * (end - start)) / longest}%` } }));
  return make(
    "span.spans",
    { "aria-hidden": "true" },
    bar("", match.query_start, match.query_end),
    bar(".second", match.recording_start, match.recording_end),
  );
}
