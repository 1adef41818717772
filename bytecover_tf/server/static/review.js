// Questions that a person decides: are these two recordings versions of one work?

import { atWork, get, post, watch } from "./api.js";
import { count, icon, isForPage, make, notice, ring } from "./dom.js";
import { relation } from "./identify.js";
import { Listening, catalogued } from "./listening.js";

const REASONS = {
  unsure: "They may be versions, but that is not sure.",
  part: "They match over a part of one alone, as a track and its album do.",
  outvoted: "They match, but most of the other recordings of the two works do not.",
  "several works": "They match, but have works with different names.",
};

/** Show the view. */
export function reviewView(main) {
  const leaving = new AbortController();
  let questions = [];
  let number = 0;
  let listening = null;
  let isBusy = false;
  const status = make("p.soft", { role: "status" });
  const place = make("div.stack");
  // One for as long as the view is shown: it tells how a search gets on.
  const searching = search();
  main.append(
    make(
      "div.stack",
      {},
      make("div.row.between", {}, make("h1", {}, "Review"), status),
      place,
    ),
  );

  async function load() {
    try {
      questions = await get("api/review", { signal: leaving.signal });
      number = Math.min(number, Math.max(questions.length - 1, 0));
      show();
    } catch (error) {
      if (error.name !== "AbortError") place.replaceChildren(make("p.problem", { role: "alert" }, error.message));
    }
  }

  function show() {
    listening?.close();
    listening = null;
    status.textContent = questions.length ? `${number + 1} of ${count(questions.length, "question")}` : "";
    if (!questions.length) {
      place.replaceChildren(empty());
      return;
    }
    const question = questions[number];
    const { first, second } = question;
    const picture = (signal) => get(`api/picture?first=${first.id}&second=${second.id}`, { signal });
    listening = new Listening(catalogued(first), catalogued(second), question, picture);
    const button = (kind, name, key, symbol, action) =>
      make(`button${kind}`, { type: "button", on: { click: action }, "aria-keyshortcuts": key }, icon(symbol), name, make("kbd", {}, key));
    place.replaceChildren(
      make(
        "section.card.stack",
        {},
        make(
          "div.row",
          {},
          ring(question.probability, "unsure"),
          make("div.grow", {}, make("h2", {}, "Is this the same work?"), make("p.soft.small", {}, REASONS[question.reason] ?? question.reason), relation(question)),
        ),
        listening.element,
        make(
          "div.decide",
          {},
          button(".main", "Same work", "A", "check", () => decide("accept")),
          button("", "Not the same", "R", "cross", () => decide("reject")),
          button(".quiet", "Later", "S", "next", skip),
          button(".quiet", "Undo", "U", "undo", undo),
        ),
      ),
      searching,
    );
  }

  function empty() {
    return make(
      "section.card.empty",
      {},
      icon("check"),
      make("h2", {}, "Nothing is waiting for you."),
      make("p.soft", {}, "Compare the recordings of the library with each other to find versions among them."),
      searching,
      make("button.quiet", { type: "button", on: { click: undo } }, icon("undo"), "Undo the latest decision"),
    );
  }

  function search() {
    const told = make("p.soft.small", { role: "status" });
    const button = make("button", { type: "button", on: { click: () => run(post("api/review/search", { merge: true })) } }, icon("search"), "Look for versions");
    const compared = ({ done, of }) => (of ? `Compared ${done} of ${count(of, "recording")} …` : "Comparing all recordings …");
    async function run(begun) {
      button.disabled = true;
      try {
        const job = await begun;
        const ended = await watch(job, ({ progress, state }) => { told.textContent = state === "running" ? compared(progress) : "Waiting …"; }, leaving.signal);
        const { groups, changed, questions: open } = ended.result;
        notice(`${count(groups, "group")} of versions; ${count(changed, "recording")} got another work; ${count(open, "question")} for you.`);
        told.textContent = "";
        dispatchEvent(new Event("librarychange"));
        await load();
      } catch (error) {
        if (error.name !== "AbortError") told.textContent = error.message;
      }
      button.disabled = false;
    }
    // It may have been begun before the view was left.
    const resume = (jobs) => {
      const job = atWork(jobs, "group");
      if (job) run(job);
    };
    get("api/jobs", { signal: leaving.signal }).then(resume).catch(() => {});
    return make("div.row", {}, button, make("span.soft.small", {}, "What is sure becomes one work, which Undo takes back. The rest is asked here."), told);
  }

  /** Change something, and show what is left; until then no other change begins. */
  async function change(run) {
    if (isBusy) return;
    isBusy = true;
    let isDone = true;
    try {
      notice(await run());
      dispatchEvent(new Event("librarychange"));
    } catch (error) {
      notice(error.message);
      // The question was answered elsewhere, or a recording is gone.
      isDone = error.status === 404 || error.status === 422;
    }
    if (isDone) await load();
    isBusy = false;
  }

  function decide(verdict) {
    const question = questions[number];
    if (!question) return;
    change(async () => {
      await post("api/review", { first: question.first.id, second: question.second.id, verdict });
      return verdict === "accept" ? "They are one work now." : "They stay apart.";
    });
  }

  function skip() {
    if (isBusy || !questions.length) return;
    number = (number + 1) % questions.length;
    show();
  }

  function undo() {
    change(async () => `Undone: ${(await post("api/review/undo")).action}.`);
  }

  const onKey = (event) => {
    if (!isForPage(event)) return;
    const actions = { a: () => decide("accept"), r: () => decide("reject"), s: skip, u: undo };
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    // A key that is held would decide what nobody has seen.
    if (!event.repeat) action();
  };
  addEventListener("keydown", onKey);
  load();
  return () => {
    removeEventListener("keydown", onKey);
    leaving.abort();
    listening?.close();
  };
}
