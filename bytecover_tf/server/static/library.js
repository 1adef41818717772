// The library: works with their recordings, search, and upkeep.

import { atWork, get, post, remove, watch, whySilent } from "./api.js";
import { clock, count, icon, make, notice } from "./dom.js";

const AT_ONCE = 50;
// What the server gives at once.
const AT_MOST = 1000;

/** Show the view. */
export function libraryView(main) {
  const leaving = new AbortController();
  const found = make("p.soft.small", { role: "status" });
  const list = make("ol.works");
  const more = make("div.row", { style: { "justify-content": "center" } });
  const title = make("span.cut.grow");
  const media = make("audio", { controls: true, preload: "none" });
  const player = make("section.card.playing.hidden", { "aria-label": "Player" }, make("div.stack", { style: { gap: "0.4rem" } }, make("div.row", {}, title), media));
  const search = make("input", {
    type: "search",
    placeholder: "Search title, artist, album, work or file",
    "aria-label": "Search the library",
  });
  let timer = 0;
  let number = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(load, 150);
  });

  async function load(start = 0, most = AT_ONCE) {
    const mine = ++number;
    const text = encodeURIComponent(search.value);
    const page = await get(`api/works?text=${text}&start=${start}&count=${most}`).catch((error) => {
      found.textContent = error.message;
    });
    if (!page || mine !== number) return;
    if (start === 0) list.replaceChildren();
    list.append(...page.works.map(showWork));
    found.textContent = page.total
      ? `${count(page.total, "work")}, ${count(page.recordings, "recording")}`
      : "Nothing of that name.";
    const shown = start + page.works.length;
    more.replaceChildren(
      shown < page.total ? make("button", { type: "button", on: { click: () => load(list.children.length) } }, "Show more") : "",
    );
  }

  function showWork(work) {
    const several = work.recordings.length > 1;
    return make(
      "li.card.work",
      {},
      several || work.is_named
        ? make(
            "div.row.between",
            {},
            make("h2.cut.grow", {}, work.name),
            several ? make("span.count", {}, `${work.recordings.length} versions`) : null,
          )
        : null,
      make("ul", {}, ...work.recordings.map(showRecording)),
    );
  }

  function showRecording(recording) {
    return make(
      "li.recording",
      {},
      make("button.quiet.round", { type: "button", "aria-label": `Play ${recording.label}`, on: { click: () => play(recording) } }, icon("play")),
      make(
        "div.grow",
        {},
        make("p.cut", { title: recording.path }, recording.title),
        make("p.cut.small.soft", {}, [recording.artist, recording.album].filter(Boolean).join(" · ") || recording.path),
      ),
      make("span.soft.small.number", {}, clock(recording.duration)),
      make("a.button.quiet.round", { href: `#/identify/${recording.id}`, title: "Find versions", "aria-label": `Find versions of ${recording.label}` }, icon("search")),
      make("button.quiet.round", { type: "button", title: "Take out of the catalogue", "aria-label": `Take ${recording.label} out of the catalogue`, on: { click: () => takeOut(recording) } }, icon("trash")),
    );
  }

  function play(recording) {
    title.textContent = recording.label;
    player.classList.remove("hidden");
    const url = `api/recordings/${recording.id}/audio`;
    media.src = url;
    media.play().catch(async (error) => {
      // Another recording was chosen, or another view.
      if (error.name !== "AbortError") notice(await whySilent(url));
    });
  }

  async function takeOut(recording) {
    if (!confirm(`Take “${recording.label}” out of the catalogue?\n\nThe file stays where it is.`)) return;
    try {
      await remove(`api/recordings/${recording.id}`);
      dispatchEvent(new Event("librarychange"));
      // Its work may stand elsewhere now.
      await load(0, Math.min(Math.max(list.children.length, AT_ONCE), AT_MOST));
    } catch (error) {
      notice(error.message);
    }
  }

  main.append(
    make(
      "div.stack",
      {},
      make("h1", {}, "Library"),
      search,
      found,
      list,
      more,
      addMusic(leaving.signal, load),
      player,
    ),
  );
  load();
  return () => {
    leaving.abort();
    media.pause();
  };
}

/** Return the section that adds folders. */
function addMusic(signal, onAdded) {
  const place = make("section.card.stack", {}, make("h2", {}, "Add music"));
  const fill = async () => {
    const { folders } = await get("api/about");
    if (!folders.length) {
      place.append(make("p.soft", {}, "Start the server with --allow FOLDER to add the music of a folder from here."));
      return;
    }
    const jobs = await get("api/jobs", { signal }).catch(() => []);
    for (const folder of folders) {
      const status = make("p.soft.small", { role: "status" });
      const begin = () => index(post("api/recordings", { paths: [folder] }), button, status);
      const button = make("button", { type: "button", on: { click: begin } }, icon("add"), "Look for new music");
      place.append(make("div.row.between", {}, make("span.cut.grow", {}, folder), button), status);
      // It may have been begun before the view was left.
      const job = atWork(jobs, "index", folder);
      if (job) index(job, button, status);
    }
  };

  async function index(begun, button, status) {
    button.disabled = true;
    try {
      const job = await begun;
      const ended = await watch(
        job,
        ({ progress, state }) => {
          status.textContent = progress.of ? `${progress.done} of ${count(progress.of, "file")}` : `${state} …`;
        },
        signal,
      );
      const { added, changed, moved, renamed, retagged, present, copies, failed } = ended.result;
      const others = [
        [moved, "moved"],
        [renamed, "of another work"],
        [retagged, "with other tags"],
        [Object.keys(copies).length, "left out as copies"],
      ];
      const told = [[added, "added"], [changed, "changed"], ...others.filter(([number]) => number), [present, "already there"]];
      const problems = Object.values(failed);
      status.textContent =
        told.map((each) => each.join(" ")).join(", ") + (problems.length ? `; not readable: ${problems.join("; ")}` : "");
      dispatchEvent(new Event("librarychange"));
      onAdded();
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = error.message;
    }
    button.disabled = false;
  }

  fill().catch(() => {});
  return place;
}
