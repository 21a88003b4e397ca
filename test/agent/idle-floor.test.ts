import { expect, test } from '@jest/globals';
import { IdleFloor } from '../../src/agent/idle-floor.js';

const seconds = (floor: IdleFloor, count: number, watts: number, empty: boolean): void => {
  for (let i = 0; i < count * 10; i++) floor.observe(watts * 1e5, 1e8, empty);
};

test('nothing is known at first, so nothing is booked by allocation', () => {
  expect(new IdleFloor().watts).toBe(0);
});

test('the floor is learned from empty time', () => {
  const floor = new IdleFloor();
  seconds(floor, 20, 50, true);
  expect(floor.watts).toBeCloseTo(50, 6);
});

test('busy time never raises the floor, and lowers it where power was lower', () => {
  const floor = new IdleFloor();
  seconds(floor, 20, 50, true);
  seconds(floor, 100, 200, false);
  expect(floor.watts).toBeCloseTo(50, 6);
  seconds(floor, 10, 45, false);
  expect(floor.watts).toBeCloseTo(45, 6);
});

test('a change of season is learned again from empty time', () => {
  const floor = new IdleFloor();
  seconds(floor, 20, 50, true);
  seconds(floor, 600, 60, true);
  expect(floor.watts).toBeGreaterThan(59);
});

test('a bin with a job in any part of it is not empty', () => {
  const floor = new IdleFloor();
  seconds(floor, 5, 100, false);
  seconds(floor, 5, 50, true);
  expect(floor.state.emptyWatts).toBeNull();
  expect(floor.watts).toBeCloseTo(75, 6);
});

test('the state survives a restart', () => {
  const floor = new IdleFloor();
  seconds(floor, 20, 50, true);
  expect(new IdleFloor(floor.state).watts).toBe(floor.watts);
});
