// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// Livepeer's protocol as far as a node, its watch and `fab reward` ask it: the functions, the events and the words of
// the refusals are those of livepeer/protocol (BondingManager.sol, RoundsManager.sol, Controller.sol), what is inside
// them is not: there is no token and no stake. The answers to a livepeer of 2018 and to those of today are both here.
//
// The code is put at the contracts' addresses with anvil_setCode, so no constructor runs: what a deployment would set
// is set by functions under "Only here".

contract Controller {
    mapping(bytes32 => address) private registered;

    function getContract(bytes32 key) external view returns (address) {
        return registered[key];
    }

    function paused() external pure returns (bool) {
        return false;
    }

    // Only here

    function setContract(bytes32 key, address where) external {
        registered[key] = where;
    }
}

contract RoundsManager {
    uint256 public roundLength;
    uint256 public lastInitializedRound;
    uint256 private ethereumBlock;

    event NewRound(uint256 indexed round, bytes32 blockHash);

    /// On Arbitrum rounds are counted in blocks of Ethereum, whatever the number of the chain's own block is.
    function blockNum() public view returns (uint256) {
        return ethereumBlock == 0 ? block.number : ethereumBlock;
    }

    function currentRound() public view returns (uint256) {
        return blockNum() / roundLength;
    }

    function currentRoundStartBlock() public view returns (uint256) {
        return currentRound() * roundLength;
    }

    function currentRoundInitialized() public view returns (bool) {
        return lastInitializedRound == currentRound();
    }

    function initializeRound() external {
        require(!currentRoundInitialized(), "round already initialized");
        lastInitializedRound = currentRound();
        emit NewRound(lastInitializedRound, blockhash(block.number - 1));
    }

    // Only here

    function setRoundLength(uint256 blocks) external {
        roundLength = blocks;
    }

    function setEthereumBlock(uint256 number) external {
        ethereumBlock = number;
    }
}

contract BondingManager {
    struct Transcoder {
        uint256 lastRewardRound;
        bool registered;
        bool active;
    }

    RoundsManager private rounds;
    mapping(address => Transcoder) private transcoders;
    mapping(address => address) public transcoderToRewardCaller;

    event Reward(address indexed transcoder, uint256 amount);
    event TranscoderSlashed(address indexed transcoder, address finder, uint256 penalty, uint256 finderReward);
    event TranscoderDeactivated(address indexed transcoder, uint256 deactivationRound);

    function reward() external {
        rewardFor(msg.sender);
    }

    /// What livepeer calls from v0.5.10 on: its input data begin with another selector.
    function rewardWithHint(address, address) external {
        rewardFor(msg.sender);
    }

    /// LIP-118: another account calls, and the event still names the transcoder.
    function rewardForTranscoder(address transcoder) external {
        require(transcoderToRewardCaller[transcoder] == msg.sender, "caller must be reward caller");
        rewardFor(transcoder);
    }

    function setRewardCaller(address caller) external {
        transcoderToRewardCaller[msg.sender] = caller;
    }

    function rewardFor(address transcoder) private {
        Transcoder storage own = transcoders[transcoder];
        require(rounds.currentRoundInitialized(), "current round is not initialized");
        require(own.active, "caller must be an active transcoder");
        require(own.lastRewardRound != rounds.currentRound(), "caller has already called reward for the current round");
        own.lastRewardRound = rounds.currentRound();
        emit Reward(transcoder, 94 ether);
    }

    function isActiveTranscoder(address transcoder) external view returns (bool) {
        return transcoders[transcoder].active;
    }

    /// The question of 2018, with a round.
    function isActiveTranscoder(address transcoder, uint256) external view returns (bool) {
        return transcoders[transcoder].active;
    }

    /// Seven words, as in 2018; the first is the same today.
    function getTranscoder(address transcoder)
        external
        view
        returns (uint256 lastRewardRound, uint256, uint256, uint256, uint256, uint256, uint256)
    {
        return (transcoders[transcoder].lastRewardRound, 0, 0, 0, 0, 0, 0);
    }

    function transcoderStatus(address transcoder) external view returns (uint256) {
        return transcoders[transcoder].registered ? 1 : 0;
    }

    function transcoderTotalStake(address transcoder) external view returns (uint256) {
        return transcoders[transcoder].registered ? 5000 ether : 0;
    }

    // Only here

    function setRoundsManager(RoundsManager where) external {
        rounds = where;
    }

    function register(address transcoder) external {
        transcoders[transcoder] = Transcoder(0, true, true);
    }

    function slash(address transcoder) external {
        emit TranscoderSlashed(transcoder, msg.sender, 1 ether, 0);
    }

    function deactivate(address transcoder) external {
        transcoders[transcoder].active = false;
        emit TranscoderDeactivated(transcoder, rounds.currentRound() + 1);
    }
}
