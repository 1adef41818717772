// The timeline of a long recording.

import { postForm, remove, watch } from "./api.js";
import { chooser } from "./chooser.js";
import { clock, icon, make, notice, percent, readOut } from "./dom.js";
import { relation } from "./identify.js";
import { Listening, catalogued, local } from "./listening.js";

/** Show the view. */
export function setlistView(main) {
  let asking = null;
  let listening = null;
  let job = null;
  const said = readOut();
  const result = make("div.stack");
  const choose = chooser(
    {
      title: "What was played?",
      text: "Drop a concert, the set of a DJ, a broadcast, or an album in one file.",
    },
    (files) => ask(files[0]),
    { most: 1, canRecord: false },
  );
  main.append(make("div.stack", {}, choose.element, said, result));

  function stop() {
    asking?.abort();
    listening?.close();
    listening = null;
    if (job) remove(`api/jobs/${job.id}`).catch(() => {});
    job = null;
  }

  // Nobody could see it, and it would hold up the next one.
  function unload() {
    if (!job) return;
    stop();
    result.replaceChildren();
  }
  addEventListener("pagehide", unload);

  async function ask(file) {
    stop();
    asking = new AbortController();
    const { signal } = asking;
    choose.shrink();
    const status = make("span.soft.number", {}, "Sending …");
    const bar = make("progress", { max: 100, "aria-label": "Progress" });
    const cancel = make("button", { type: "button", on: { click: () => { stop(); result.replaceChildren(); } } }, "Cancel");
    result.replaceChildren(
      make("section.card.stack", {}, make("div.row.between", {}, make("h2.cut.grow", {}, file.name), status, cancel), bar),
    );
    try {
      job = await postForm("api/setlist", { file }, signal);
      const ended = await watch(
        job,
        ({ state, progress }) => {
          if (progress.of) bar.value = (100 * progress.done) / progress.of;
          said.textContent = state === "waiting" ? "Waiting …" : "Listening …";
          status.textContent =
            state === "waiting" ? "Waiting …" : progress.done ? `${clock(progress.done)}${progress.of ? ` of ${clock(progress.of)}` : ""}` : "Listening …";
        },
        signal,
      );
      job = null;
      show(ended.result, file);
    } catch (error) {
      if (signal.aborted) return;
      job = null;
      result.replaceChildren(make("p.problem", { role: "alert" }, error.message));
    }
  }

  function show({ songs, duration }, file) {
    const source = local(file, duration);
    const hues = new Map();
    for (const song of songs) {
      if (song.work && !hues.has(song.work)) hues.set(song.work, Math.round((hues.size * 137.5 + 245) % 360));
    }
    const known = songs.filter((song) => song.work);
    const line = make("div.timeline", { role: "group", "aria-label": "Timeline" });
    const table = make("tbody");
    const place = make("div");
    const parts = [];

    songs.forEach((song) => {
      const hue = { "--hue": hues.get(song.work) ?? 0 };
      const open = () => choosePart(song);
      const cells = song.work
        ? [
            make(
              "td",
              {},
              make("div.row", { style: { "flex-wrap": "nowrap" } }, make("span.dot", { style: hue }), make("div.grow", {}, make("p", {}, song.label), relation(song))),
            ),
            make("td.number.wide", {}, percent(song.probability)),
            make("td", {}, make("button.quiet.round", { type: "button", "aria-label": `Listen to ${song.label} at ${clock(song.start)}`, on: { click: open } }, icon("play"))),
          ]
        : [make("td.soft", {}, "Unknown"), make("td.wide"), make("td")];
      const item = make(
        `tr${song.work ? "" : ".gap"}`,
        {},
        make("td.number", {}, clock(song.start)),
        make("td.number.wide", {}, clock(song.end)),
        ...cells,
      );
      table.append(item);
      if (!song.work) return;
      const block = make(
        "button",
        {
          type: "button",
          title: `${clock(song.start)}–${clock(song.end)} ${song.label}`,
          style: { ...hue, left: `${(100 * song.start) / duration}%`, width: `${(100 * (song.end - song.start)) / duration}%` },
          on: { click: open },
        },
        song.label,
      );
      line.append(block);
      parts.push({ song, item, block });
    });

    function choosePart(song) {
      const isPlaying = listening?.isPlaying ?? true;
      listening?.close();
      for (const part of parts) {
        part.item.classList.toggle("on", part.song === song);
        part.block.classList.toggle("on", part.song === song);
      }
      const recording = { id: song.id, label: song.label, duration: song.duration };
      listening = new Listening(source, catalogued(recording), song, null);
      listening.element.classList.add("alone");
      listening.pictureSide.remove();
      place.replaceChildren(make("section.card", { "aria-label": "Listen to both" }, listening.element));
      if (isPlaying) listening.play();
    }

    said.textContent = `${known.length} known of ${clock(duration)}`;
    const text = known.map((song) => `${clock(song.start)} ${song.label}`).join("\n");
    result.replaceChildren(
      make(
        "section.card.stack",
        {},
        make(
          "div.row.between",
          {},
          make("div.grow", {}, make("h2.cut", {}, file.name), make("p.soft.small", {}, `${known.length} known of ${clock(duration)}`)),
          make("button", { type: "button", on: { click: () => copy(text) } }, "Copy the list"),
        ),
        line,
        make("div.axes.number", {}, make("span", {}, clock(0)), make("span", {}, clock(duration))),
      ),
      place,
      make(
        "section.card",
        {},
        make(
          "table.songs",
          {},
          make(
            "thead",
            {},
            make("tr", {}, ...[["From"], ["To", "wide"], ["Song"], ["Sure", "wide"]].map(([name, kind]) => make(kind ? `th.${kind}` : "th", { scope: "col" }, name)), make("td")),
          ),
          table,
        ),
      ),
    );
  }

  return () => {
    removeEventListener("pagehide", unload);
    stop();
    choose.close();
  };
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice("Copied.");
  } catch (error) {
    notice(navigator.clipboard ? error.message : "A browser lends the clipboard only to https and to this machine.");
  }
}
